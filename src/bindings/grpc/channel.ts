import {
  CallCredentials,
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
import type { CallPlace } from './call-place.js';

import { type ChannelzEntry, listChannel } from './channelz.js';
import { type CallParts, MeshCall } from './client-call.js';
import { commonLines } from './common-lines.js';
import { type Encoding, encodingOf } from './compression.js';
import { Connectivity } from './connectivity.js';
import { type Deadline, sooner } from './deadline.js';
import { type MeshTarget, parseTarget } from './target.js';
import { WaitingCall } from './waiting-call.js';

type Call = experimental.CallStream;
type Parent = Parameters<ChannelInterface['createCall']>[3];

/** gRPC: 4 MiB. */
const MAX_RECEIVE_BYTES = 4 * 1024 * 1024;

/** grpc-js `propagate`: what a call takes over from the call that it is made for. */
const PROPAGATE = { DEADLINE: 1, CANCELLATION: 8, ALL: 0xffff } as const;

/**
 * A channel of grpc-js through the mesh: the mesh's routes, load balancing, retries, limits and mutual TLS hold for its
 * calls. What the mesh does not own goes out by an ordinary channel with the same credentials and options.
 */
export class MeshChannel implements ChannelInterface, CallPlace {
  readonly core: MeshCore;
  readonly target: string;
  readonly channelId: string;
  readonly isFramed = false;
  readonly commonLines: readonly string[];
  readonly maxSendBytes: number;
  readonly maxReceiveBytes: number;
  readonly credentials: CallCredentials | undefined;
  readonly waiting = new Set<{ cancelWithStatus(code: status, details: string): void }>();
  readonly #credentials: ChannelCredentials;
  readonly #options: ChannelOptions;
  readonly #meshTarget: MeshTarget | undefined;
  readonly #origin: string;
  readonly #authority: string;
  readonly #wanted: Encoding;
  readonly #connectivity: Connectivity;
  readonly #channelz: ChannelzEntry;
  #accepted: string | undefined;
  #plain: ChannelInterface | undefined;
  #isClosed = false;

  constructor(
    mesh: { readonly core: MeshCore },
    target: string,
    credentials: ChannelCredentials = ChannelCredentials.createInsecure(),
    options: ChannelOptions = {},
  ) {
    this.core = mesh.core;
    this.target = target;
    this.#credentials = credentials;
    this.#options = options;
    this.#meshTarget = parseTarget(target);
    const isSecure = credentials._isSecure();
    const { authority = target, hasPort = true } = this.#meshTarget ?? {};
    // gRPC's default port is that of https; the mesh knows services by names alone, too.
    this.#origin = `${isSecure && !hasPort ? 'https' : 'http'}://${authority}`;
    this.#authority = options['grpc.default_authority'] ?? authority;
    this.credentials = isSecure ? callCredentialsOf(credentials, authority, options) : undefined;
    this.channelId = String(Math.floor(this.core.random() * Number.MAX_SAFE_INTEGER));
    this.commonLines = commonLines(options);
    this.maxSendBytes = options['grpc.max_send_message_length'] ?? -1;
    this.maxReceiveBytes = options['grpc.max_receive_message_length'] ?? MAX_RECEIVE_BYTES;
    this.#wanted = encodingOf(options['grpc.default_compression_algorithm']);
    this.#connectivity = new Connectivity(this.core.clock);
    const isListed = options['grpc.enable_channelz'] !== 0;
    this.#channelz = listChannel(target, isListed, () => this.#connectivity.state);
  }

  get encoding(): Encoding {
    const isTaken = this.#accepted?.split(',').includes(this.#wanted) ?? true;
    return isTaken ? this.#wanted : 'identity';
  }

  lookup(): OutboundTarget | undefined {
    const found = this.core.lookup(this.#origin);
    return found === 'unknown' ? undefined : found;
  }

  learn(accepted: string): void {
    this.#accepted = accepted;
  }

  ended(code: status): void {
    if (code === status.OK) this.#channelz.calls?.addCallSucceeded();
    else this.#channelz.calls?.addCallFailed();
    if (code === status.UNAVAILABLE) this.#connectivity.become(connectivityState.TRANSIENT_FAILURE);
    else if (code === status.OK) this.#connectivity.become(connectivityState.READY);
  }

  createCall(
    method: string,
    deadline: Deadline,
    host: string | null | undefined,
    parentCall: Parent,
    propagateFlags: number | null | undefined,
  ): Call {
    if (typeof method !== 'string') throw new TypeError('Channel#createCall: method must be a string');
    if (!(typeof deadline === 'number' || deadline instanceof Date)) {
      throw new TypeError('Channel#createCall: deadline must be a number or Date');
    }
    if (this.#isClosed) throw new Error('Channel has been shut down');
    const found = this.#meshTarget === undefined ? undefined : this.core.lookup(this.#origin);
    if (found === undefined)
      return this.#plainChannel.createCall(method, deadline, host, parentCall, propagateFlags);
    const flags = propagateFlags ?? PROPAGATE.ALL;
    const number = nextNumber();
    const until = untilOf(deadline, parentCall, flags, this.core);
    const parts: CallParts = { method, authority: host ?? this.#authority, deadline: until, number };
    const call =
      found === 'unknown'
        ? new WaitingCall(this, () => this.#callLater(parts, host), until, number)
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
    for (const call of this.waiting) {
      call.cancelWithStatus(status.UNAVAILABLE, 'Channel closed before call started');
    }
    this.#plain?.close();
    this.#channelz.close();
  }

  getTarget(): string {
    return this.target;
  }

  getConnectivityState(tryToConnect: boolean): connectivityState {
    const found = this.#meshTarget === undefined ? undefined : this.core.lookup(this.#origin);
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
    const found = this.#meshTarget === undefined ? undefined : this.core.lookup(this.#origin);
    if (found === undefined) this.#plainChannel.watchConnectivityState(currentState, deadline, callback);
    else this.#connectivity.watch(currentState, deadline, callback);
  }

  getChannelzRef(): ReturnType<ChannelInterface['getChannelzRef']> {
    return this.#channelz.ref;
  }

  /** The way around the mesh, made when it is first needed. */
  get #plainChannel(): ChannelInterface {
    this.#plain ??= new Channel(this.target, this.#credentials, this.#options);
    return this.#plain;
  }

  #begin(parts: CallParts): Call {
    this.#channelz.calls?.addCallStarted();
    return new MeshCall(this, parts);
  }

  /** The configuration came. */
  #callLater(parts: CallParts, host: string | null | undefined): Call {
    if (this.#isClosed) throw new Error('Channel has been shut down');
    if (this.lookup() !== undefined) return this.#begin(parts);
    return this.#plainChannel.createCall(parts.method, parts.deadline, host, null, 0);
  }

  /** The mesh is ready for calls as soon as it knows the service; connections are made by them. */
  #connect(): void {
    this.#connectivity.become(connectivityState.CONNECTING);
    this.core.whenConfigured().then(
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

/** What was composed with the credentials of the channel; grpc-js gives them with the connection that they are for. */
function callCredentialsOf(
  credentials: ChannelCredentials,
  authority: string,
  options: ChannelOptions,
): CallCredentials | undefined {
  const connector = credentials._createSecureConnector({ scheme: 'dns', path: authority }, options);
  const found = connector.getCallCredentials();
  connector.destroy();
  return CallCredentials.createEmpty()._equals(found) ? undefined : found;
}
