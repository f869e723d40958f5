import {
  type CallCredentials,
  type experimental,
  type InterceptingListener,
  type Metadata,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { Abort } from '../../runtime/abort.js';
import type { Timer } from '../../runtime/clock.js';
import { messageOf } from '../../runtime/errors.js';
import { bytesBody } from '../../service/body.js';
import type { CallRetry } from '../../service/call-retry.js';
import { createExchange } from '../../service/context.js';
import { formatGrpcTimeout } from '../../service/grpc-timeout.js';
import { HeaderMap } from '../../service/headers.js';
import type { Request, Response } from '../../service/service.js';
import type { CallPlace } from './call-place.js';
import { type Ending, endingOfFailure } from './call-status.js';
import { type Deadline, leftOf, spent } from './deadline.js';
import { MessageDelivery } from './message-delivery.js';
import { MessageWriter } from './message-writer.js';
import { mayWait, ReadyWait } from './ready-wait.js';
import { type ReaderOwner, ResponseReader } from './response-reader.js';
import { appendMetadata, type MetadataClass, OF_THE_CALL, OF_THE_TRANSPORT } from './wire-metadata.js';

type Call = experimental.CallStream;
type WriteContext = Parameters<Call['sendMessageWithContext']>[0];

/** What a call is made with. */
export interface CallParts {
  readonly method: string;
  readonly authority: string;
  readonly deadline: Deadline;
  readonly number: number;
  /** Whether it waits for ready, unless its metadata says otherwise. */
  readonly waitForReady?: boolean | undefined;
  /** What its service config says of attempts; undefined = nothing. */
  readonly retry?: CallRetry | undefined;
}

/** One call of a generated client on its way through the mesh. */
export class MeshCall implements Call, ReaderOwner {
  readonly #place: CallPlace;
  readonly #parts: CallParts;
  readonly #abort = new Abort();
  readonly #writer: MessageWriter;
  readonly #startMs: number;
  #timer: Timer | undefined;
  #credentials: CallCredentials | undefined;
  #delivery: MessageDelivery | undefined;
  #listener: InterceptingListener | undefined;
  #Metadata: MetadataClass | undefined;
  #lines: string[] = [];
  #readyWait: ReadyWait | undefined;
  #reader: ResponseReader | undefined;
  #request: Request | undefined;
  #hasBegun = false;
  /** Its head is complete: credentials have given what they give. */
  #mayBegin = false;
  #isOver = false;

  constructor(place: CallPlace, parts: CallParts) {
    this.#place = place;
    this.#parts = parts;
    this.#startMs = place.core.clock.now();
    this.#writer = new MessageWriter(place, (ending) => this.unreadable(ending));
    const leftMs = leftOf(parts.deadline, place.core.clock);
    if (leftMs <= 0) process.nextTick(expire, this);
    else if (leftMs !== Number.POSITIVE_INFINITY) {
      this.#timer = place.core.clock.schedule(leftMs, () => this.expire(), true);
    }
  }

  setCredentials(credentials: CallCredentials): void {
    this.#credentials = credentials;
  }

  getCallNumber(): number {
    return this.#parts.number;
  }

  getPeer(): string {
    return this.#request?.context.upstreamHost ?? this.#place.target;
  }

  /** As grpc-js says of a connection: empty without TLS. */
  getAuthContext(): NonNullable<ReturnType<Call['getAuthContext']>> {
    const peerId = this.#request?.context.peerId;
    return peerId === undefined ? {} : { transportSecurityType: 'ssl' };
  }

  start(metadata: Metadata, listener: InterceptingListener): void {
    // What the application changes later is none of this call's.
    this.#Metadata = metadata.constructor as MetadataClass;
    this.#listener = listener;
    this.#delivery = new MessageDelivery(listener);
    this.#lines = this.#place.commonLines.slice();
    const { encoding } = this.#writer;
    if (encoding !== 'identity') this.#lines.push('grpc-encoding', encoding);
    appendMetadata(metadata, this.#lines, this.#place.isFramed ? OF_THE_TRANSPORT : OF_THE_CALL);
    if (metadata.getOptions().waitForReady ?? this.#parts.waitForReady)
      this.#readyWait = new ReadyWait(this.#place, this);
    if (this.#isOver) {
      // It was cancelled before: its listener has yet to hear of it.
      this.#delivery.abandon(this.#status(this.#ending));
      return;
    }
    const credentials = this.#allCredentials();
    if (credentials === undefined) this.#prepared();
    else void this.#generate(credentials);
  }

  sendMessageWithContext(context: WriteContext, message: Buffer): void {
    this.#writer.write(message, context.flags, context.callback);
  }

  halfClose(): void {
    this.#writer.end();
    // A call whose messages are all here goes out whole.
    if (this.#mayBegin && !this.#hasBegun && this.#writer.hasEnded) this.begin();
  }

  /** What grpc-js says of a call that took too long. */
  getDeadlineInfo(): string[] {
    return [`remote_addr=${this.getPeer()}`];
  }

  startRead(): void {
    this.#delivery?.startRead();
  }

  cancelWithStatus(code: status, details: string): void {
    this.#giveUp({ code, details });
  }

  /** The deadline is over. */
  expire(): void {
    const { clock } = this.#place.core;
    const info = [`Deadline exceeded after ${spent(clock.now() - this.#startMs)}`];
    const { upstreamHost } = this.#request?.context ?? {};
    if (this.#readyWait !== undefined) info.push('wait_for_ready');
    if (upstreamHost !== undefined) info.push(`remote_addr=${upstreamHost}`);
    this.#giveUp({ code: status.DEADLINE_EXCEEDED, details: info.join(',') });
  }

  /** Sends it, or sends it again after it was not taken at all. */
  begin(): void {
    if (this.#isOver || (this.#hasBegun && this.#readyWait === undefined)) return;
    this.#hasBegun = true;
    const target = this.#place.lookup();
    if (target === undefined && this.#readyWait !== undefined) {
      this.#readyWait.again();
      return;
    }
    if (target === undefined) {
      this.unreadable({
        code: status.UNAVAILABLE,
        details: `the mesh knows no ${this.#place.target}`,
      });
      return;
    }
    const request = this.#makeRequest(target.scheme);
    this.#request = request;
    target.service(request).then(
      (response) => this.#respond(response),
      (error: unknown) => this.failed(error),
    );
  }

  ended(ending: Ending, trailers: Metadata | undefined): void {
    if (this.#finish(ending)) this.#delivery?.finish(this.#status(ending, trailers));
  }

  unreadable(ending: Ending): void {
    if (!this.#finish(ending)) return;
    if (this.#request !== undefined) this.#request.context.callStatus = ending.code;
    this.#delivery?.abandon(this.#status(ending));
    this.#abort.abort(new Error(ending.details));
  }

  failed(error: unknown): void {
    const request = this.#request;
    if (this.#isOver || request === undefined) return;
    if (this.#reader === undefined && this.#readyWait !== undefined && mayWait(error, request)) {
      this.#readyWait.again();
      return;
    }
    this.ended(endingOfFailure(error, request, this.#reader?.httpStatus ?? 0), undefined);
  }

  learn(accepted: string): void {
    this.#place.learn(accepted);
    this.#writer.learn(accepted);
  }

  #ending: Ending = { code: status.UNKNOWN, details: '' };

  #allCredentials(): CallCredentials | undefined {
    const own = this.#credentials;
    const { credentials } = this.#place;
    if (own === undefined || credentials === undefined) return own ?? credentials;
    return own.compose(credentials);
  }

  async #generate(credentials: CallCredentials): Promise<void> {
    const { method, authority } = this.#parts;
    try {
      const metadata = await credentials.generateMetadata({
        method_name: method,
        service_url: serviceUrl(authority, method),
      });
      if (this.#isOver) return;
      appendMetadata(metadata, this.#lines, OF_THE_CALL);
      if (HeaderMap.fromLines(this.#lines).getAll('authorization').length > 1) {
        const details = '"authorization" metadata cannot have multiple values';
        this.unreadable({ code: status.INTERNAL, details });
        return;
      }
      this.#prepared();
    } catch (error) {
      this.unreadable(endingOfCredentials(error));
    }
  }

  #prepared(): void {
    this.#mayBegin = true;
    if (this.#writer.hasEnded) this.begin();
    // Whoever sends one message only says so right away.
    else process.nextTick(beginLate, this);
  }

  beginLate(): void {
    if (!this.#hasBegun) this.begin();
  }

  #makeRequest(scheme: string): Request {
    const { core, channelId } = this.#place;
    const { authority, deadline, method } = this.#parts;
    const lines = this.#readyWait === undefined ? this.#lines : this.#lines.slice();
    const leftMs = leftOf(deadline, core.clock);
    if (leftMs !== Number.POSITIVE_INFINITY) {
      lines.push('grpc-timeout', formatGrpcTimeout(Math.max(0, Math.ceil(leftMs))));
    }
    const context = createExchange('outbound', core.clock.now(), core.random());
    context.destination = authority;
    context.channelId = channelId;
    context.callRetry = this.#parts.retry;
    const bytes = this.#writer.takeAll();
    return {
      method: 'POST',
      scheme,
      authority,
      path: method,
      headers: HeaderMap.fromLines(lines),
      body: bytes === undefined ? this.#writer.body : bytesBody(bytes),
      abort: this.#abort,
      context,
    };
  }

  #respond(response: Response): void {
    const { listener, delivery, Metadata } = {
      listener: this.#listener,
      delivery: this.#delivery,
      Metadata: this.#Metadata,
    };
    if (this.#isOver || listener === undefined || delivery === undefined || Metadata === undefined) return;
    const request = this.#request;
    if (this.#readyWait !== undefined && request !== undefined && mayWait(response, request)) {
      this.#readyWait.again();
      return;
    }
    const { maxReceiveBytes, isFramed } = this.#place;
    const tools = { listener, delivery, Metadata, maxReceiveBytes, isFramed };
    this.#reader = new ResponseReader(response, this, tools);
    this.#reader.start();
  }

  #giveUp(ending: Ending): void {
    if (!this.#finish(ending)) return;
    if (this.#request !== undefined) this.#request.context.callStatus = ending.code;
    this.#delivery?.abandon(this.#status(ending));
    const reason = new CallCancelled(ending.details);
    this.#abort.abort(reason);
    this.#reader?.cancel(reason);
  }

  /** False when it was over already. */
  #finish(ending: Ending): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#ending = ending;
    this.#timer?.cancel();
    this.#readyWait?.cancel();
    this.#writer.stop();
    this.#place.ended(ending.code);
    return true;
  }

  #status({ code, details }: Ending, metadata?: Metadata): StatusObject {
    // Only a call that was started tells anybody.
    const Class = this.#Metadata as MetadataClass;
    return { code, details, metadata: metadata ?? new Class() };
  }
}

/** The reason of an abort that the application, or its deadline, made. */
class CallCancelled extends Error {
  override readonly name = 'CallCancelled';
}

/** gRFC A54: what credentials say is no status of the server. */
const NOT_THEIRS: ReadonlySet<number> = new Set([0, 3, 5, 6, 9, 10, 11, 15]);

function endingOfCredentials(error: unknown): Ending {
  const said = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  const details = `Getting metadata from plugin failed with error: ${messageOf(error)}`;
  if (typeof said !== 'number') return { code: status.UNKNOWN, details };
  if (!NOT_THEIRS.has(said)) return { code: said, details };
  return { code: status.INTERNAL, details: `Invalid status from control plane: ${said} ${details}` };
}

/** What credentials are told about where they go. */
function serviceUrl(authority: string, method: string): string {
  const host = authority.startsWith('[')
    ? authority.slice(0, authority.indexOf(']') + 1)
    : authority.split(':')[0];
  return `https://${host ?? ''}/${method.split('/')[1] ?? ''}`;
}

function expire(call: MeshCall): void {
  call.expire();
}

function beginLate(call: MeshCall): void {
  call.beginLate();
}
