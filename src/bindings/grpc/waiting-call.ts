import {
  type CallCredentials,
  type experimental,
  type InterceptingListener,
  type Metadata,
  status,
} from '@grpc/grpc-js';
import type { Timer } from '../../runtime/clock.js';
import { codeOf, messageOf } from '../../runtime/errors.js';
import type { CallPlace } from './call-place.js';
import type { Ending } from './call-status.js';
import type { CallParts } from './client-call.js';
import { leftOf, spent } from './deadline.js';
import type { MetadataClass } from './wire-metadata.js';

type Call = experimental.CallStream;

/** How long the wait for a configuration goes on in one piece, for calls that wait for ready. */
const LOOK_MS = 1000;

/**
 * A call before the mesh has its first configuration: whether the mesh or the plain channel takes it is known then. What is
 * done with it meanwhile is done to that one.
 */
export class WaitingCall implements Call {
  readonly #place: CallPlace;
  readonly #make: () => Call;
  readonly #startMs: number;
  readonly #number: number;
  /** What the call that comes has to do. */
  #delayed: ((call: Call) => void)[] = [];
  #call: Call | undefined;
  #listener: { readonly own: InterceptingListener; readonly Metadata: MetadataClass } | undefined;
  readonly #waitsByDefault: boolean;
  #waitsForReady = false;
  #timer: Timer | undefined;
  #ending: Ending | undefined;

  constructor(
    place: CallPlace,
    make: () => Call,
    { deadline, number, waitForReady = false }: Pick<CallParts, 'deadline' | 'number' | 'waitForReady'>,
  ) {
    this.#waitsByDefault = waitForReady;
    this.#place = place;
    this.#make = make;
    this.#number = number;
    const { clock } = place.core;
    this.#startMs = clock.now();
    const leftMs = leftOf(deadline, clock);
    if (leftMs <= 0) process.nextTick(expire, this);
    else if (leftMs !== Number.POSITIVE_INFINITY) {
      this.#timer = clock.schedule(leftMs, () => this.expire(), true);
    }
    place.waiting.add(this);
  }

  start(metadata: Metadata, listener: InterceptingListener): void {
    const copy = metadata.clone();
    this.#listener = { own: listener, Metadata: metadata.constructor as MetadataClass };
    this.#waitsForReady = metadata.getOptions().waitForReady ?? this.#waitsByDefault;
    if (this.#ending !== undefined) {
      this.#tell(this.#ending);
      return;
    }
    this.#delayed.push((call) => call.start(copy, listener));
    this.#wait();
  }

  setCredentials(credentials: CallCredentials): void {
    this.#do((call) => call.setCredentials(credentials));
  }

  sendMessageWithContext(context: Parameters<Call['sendMessageWithContext']>[0], message: Buffer): void {
    if (this.#ending !== undefined) context.callback?.();
    else this.#do((call) => call.sendMessageWithContext(context, message));
  }

  startRead(): void {
    this.#do((call) => call.startRead());
  }

  halfClose(): void {
    this.#do((call) => call.halfClose());
  }

  getPeer(): string {
    return this.#call?.getPeer() ?? this.#place.target;
  }

  getCallNumber(): number {
    return this.#number;
  }

  getAuthContext(): ReturnType<Call['getAuthContext']> {
    return this.#call?.getAuthContext() ?? null;
  }

  cancelWithStatus(code: status, details: string): void {
    if (this.#call !== undefined) this.#call.cancelWithStatus(code, details);
    else this.#end({ code, details });
  }

  expire(): void {
    const waited = spent(this.#place.core.clock.now() - this.#startMs);
    const details = `Deadline exceeded after ${waited},waiting for the mesh's configuration`;
    this.cancelWithStatus(status.DEADLINE_EXCEEDED, details);
  }

  #do(task: (call: Call) => void): void {
    if (this.#call !== undefined) task(this.#call);
    else if (this.#ending === undefined) this.#delayed.push(task);
  }

  #wait(): void {
    this.#place.core.whenConfigured(this.#place.origin).then(
      () => this.#go(),
      (error: unknown) => this.#unavailable(error),
    );
  }

  #unavailable(error: unknown): void {
    if (this.#ending !== undefined) return;
    if (!this.#waitsForReady || codeOf(error) === 'INMESH_CLOSED') {
      this.#end({ code: status.UNAVAILABLE, details: messageOf(error) });
      return;
    }
    this.#place.core.clock.schedule(LOOK_MS, () => this.#wait(), true);
  }

  #go(): void {
    if (this.#ending !== undefined || this.#call !== undefined) return;
    this.#timer?.cancel();
    this.#place.waiting.delete(this);
    try {
      this.#call = this.#make();
    } catch (error) {
      this.#end({ code: status.UNAVAILABLE, details: messageOf(error) });
      return;
    }
    const delayed = this.#delayed;
    this.#delayed = [];
    for (const task of delayed) task(this.#call);
  }

  #end(ending: Ending): void {
    if (this.#ending !== undefined) return;
    this.#ending = ending;
    this.#timer?.cancel();
    this.#delayed = [];
    this.#place.waiting.delete(this);
    this.#tell(ending);
  }

  #tell({ code, details }: Ending): void {
    const listener = this.#listener;
    if (listener === undefined) return;
    const { own, Metadata } = listener;
    process.nextTick(() => own.onReceiveStatus({ code, details, metadata: new Metadata() }));
  }
}

function expire(call: WaitingCall): void {
  call.expire();
}
