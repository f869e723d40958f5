import {
  Channel,
  ChannelCredentials,
  type ChannelInterface,
  type ChannelOptions,
  connectivityState,
  type experimental,
  status,
} from '@grpc/grpc-js';
import type { MeshCore, OutboundTarget } from '../../mesh/core.js';
import { currentInbound } from '../../service/inbound-scope.js';
import { ChannelPlace } from './channel-place.js';

import { type ChannelzEntry, listChannel } from './channelz.js';
import { type CallParts, MeshCall } from './client-call.js';
import { Connectivity } from './connectivity.js';
import { type Deadline, sooner } from './deadline.js';
import { retryLimits } from './retry-config.js';
import { type MethodSettingsOf, methodSettings } from './service-config.js';
import { parseTarget } from './target.js';
import { WaitingCall } from './waiting-call.js';

type Call = experimental.CallStream;
type Parent = Parameters<ChannelInterface['createCall']>[3];

/** grpc-js `propagate`: what a call takes over from the call that it is made for. */
const PROPAGATE = { DEADLINE: 1, CANCELLATION: 8, ALL: 0xffff } as const;

/**
 * A channel of grpc-js through the mesh: the mesh's routes, load balancing, retries, limits and mutual TLS hold for its
 * calls. What the mesh does not own goes out by an ordinary channel with the same credentials and options.
 */
export class MeshChannel implements ChannelInterface {
  readonly #core: MeshCore;
  readonly #target: string;
  readonly #credentials: ChannelCredentials;
  readonly #options: ChannelOptions;
  readonly #isName: boolean;
  readonly #place: ChannelPlace;
  readonly #connectivity: Connectivity;
  readonly #channelz: ChannelzEntry;
  readonly #settings: MethodSettingsOf;
  #plain: ChannelInterface | undefined;
  #isClosed = false;

  constructor(
    mesh: { readonly core: MeshCore },
    target: string,
    credentials: ChannelCredentials = ChannelCredentials.createInsecure(),
    options: ChannelOptions = {},
  ) {
    this.#core = mesh.core;
    this.#target = target;
    this.#credentials = credentials;
    this.#options = options;
    this.#settings = methodSettings(options['grpc.service_config'], retryLimits(options));
    const parsed = parseTarget(target);
    this.#isName = parsed !== undefined;
    this.#connectivity = new Connectivity(mesh.core.clock);
    this.#channelz = listChannel(
      target,
      options['grpc.enable_channelz'] !== 0,
      () => this.#connectivity.state,
    );
    this.#place = new ChannelPlace(mesh.core, { target, parsed, credentials, options }, (code) =>
      this.#ended(code),
    );
  }

  createCall(
    method: string,
    deadline: Date | number,
    host: string | null | undefined,
    parentCall: Parent,
    propagateFlags: number | null | undefined,
  ): Call {
    if (typeof method !== 'string') throw new TypeError('Channel#createCall: method must be a string');
    if (!(typeof deadline === 'number' || deadline instanceof Date)) {
      throw new TypeError('Channel#createCall: deadline must be a number or Date');
    }
    if (this.#isClosed) throw new Error('Channel has been shut down');
    const found = this.#lookup();
    if (found === undefined)
      return this.#plainChannel.createCall(method, deadline, host, parentCall, propagateFlags);
    const flags = propagateFlags ?? PROPAGATE.ALL;
    const number = nextNumber();
    const { timeoutMs, waitForReady, retry } = this.#settings(method);
    const own =
      timeoutMs === undefined ? deadline : sooner(deadline, this.#core.clock.wallTime() + timeoutMs);
    const until = untilOf(own, parentCall, flags, this.#core);
    const authority = host ?? this.#place.authority;
    const parts: CallParts = { method, authority, deadline: until, number, waitForReady, retry };
    const call =
      found === 'unknown'
        ? new WaitingCall(this.#place, () => this.#callLater(parts, host), parts)
        : this.#begin(parts);
    if (parentCall !== null && (flags & PROPAGATE.CANCELLATION) !== 0) {
      parentCall.on('cancelled', () => call.cancelWithStatus(status.CANCELLED, 'Cancelled by parent call'));
    }
    return call;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#connectivity.become(connectivityState.SHUTDOWN);
    for (const call of this.#place.waiting) {
      call.cancelWithStatus(status.UNAVAILABLE, 'Channel closed before call started');
    }
    this.#plain?.close();
    this.#channelz.close();
  }

  getTarget(): string {
    return this.#target;
  }

  getConnectivityState(tryToConnect: boolean): connectivityState {
    const found = this.#lookup();
    if (found === undefined && !this.#isClosed) return this.#plainChannel.getConnectivityState(tryToConnect);
    const { state } = this.#connectivity;
    if (tryToConnect && state === connectivityState.IDLE) this.#connect();
    return state;
  }

  watchConnectivityState(
    currentState: connectivityState,
    deadline: Date | number,
    callback: (error?: Error) => void,
  ): void {
    if (this.#isClosed) throw new Error('Channel has been shut down');
    const found = this.#lookup();
    if (found === undefined) this.#plainChannel.watchConnectivityState(currentState, deadline, callback);
    else this.#connectivity.watch(currentState, deadline, callback);
  }

  getChannelzRef(): ReturnType<ChannelInterface['getChannelzRef']> {
    return this.#channelz.ref;
  }

  /** The way around the mesh, made when it is first needed. */
  get #plainChannel(): ChannelInterface {
    this.#plain ??= new Channel(this.#target, this.#credentials, this.#options);
    return this.#plain;
  }

  /** Whose the target is; undefined = none of the mesh's. */
  #lookup(): OutboundTarget | 'unknown' | undefined {
    return this.#isName ? this.#core.lookup(this.#place.origin) : undefined;
  }

  #ended(code: status): void {
    if (code === status.OK) this.#channelz.calls?.addCallSucceeded();
    else this.#channelz.calls?.addCallFailed();
    if (code === status.UNAVAILABLE) this.#connectivity.become(connectivityState.TRANSIENT_FAILURE);
    else if (code === status.OK) this.#connectivity.become(connectivityState.READY);
  }

  #begin(parts: CallParts): Call {
    this.#channelz.calls?.addCallStarted();
    return new MeshCall(this.#place, parts);
  }

  /** The configuration came. */
  #callLater(parts: CallParts, host: string | null | undefined): Call {
    if (this.#isClosed) throw new Error('Channel has been shut down');
    if (this.#place.lookup() !== undefined) return this.#begin(parts);
    return this.#plainChannel.createCall(parts.method, parts.deadline, host, null, 0);
  }

  /** The mesh is ready for calls as soon as it knows the service; connections are made by them. */
  #connect(): void {
    this.#connectivity.become(connectivityState.CONNECTING);
    this.#core.whenConfigured(this.#place.origin).then(
      () => this.#connectivity.become(connectivityState.READY),
      () => this.#connectivity.become(connectivityState.TRANSIENT_FAILURE),
    );
  }
}

let calls = 0;

function nextNumber(): number {
  return calls++;
}

/** The sooner of its own deadline, that of the call it is made for, and that of the inbound request it is part of. */
function untilOf(own: Deadline, parent: Parent, flags: number, { clock }: MeshCore): Deadline {
  let until = own;
  if (parent !== null && (flags & PROPAGATE.DEADLINE) !== 0) until = sooner(until, parent.getDeadline());
  const inherited = currentInbound()?.context.deadlineMs;
  return inherited === undefined ? until : sooner(until, clock.wallTime() + inherited - clock.now());
}
