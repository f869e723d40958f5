import { CallCredentials, type ChannelCredentials, type ChannelOptions, type status } from '@grpc/grpc-js';
import type { MeshCore, OutboundTarget } from '../../mesh/core.js';
import type { CallPlace } from './call-place.js';
import { commonLines } from './common-lines.js';
import { type Encoding, encodingOf } from './compression.js';
import type { MeshTarget } from './target.js';

/** gRPC: 4 MiB. */
const MAX_RECEIVE_BYTES = 4 * 1024 * 1024;

/** What a channel is made of. */
export interface ChannelParts {
  readonly target: string;
  /** Undefined when the target names no service. */
  readonly parsed: MeshTarget | undefined;
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
}

/** What a channel through the mesh lends to its calls. */
export class ChannelPlace implements CallPlace {
  readonly core: MeshCore;
  readonly target: string;
  readonly channelId: string;
  readonly isFramed = false;
  readonly commonLines: readonly string[];
  readonly maxSendBytes: number;
  readonly maxReceiveBytes: number;
  readonly credentials: CallCredentials | undefined;
  readonly waiting = new Set<{ cancelWithStatus(code: status, details: string): void }>();
  /** How the mesh looks the target up. */
  readonly origin: string;
  /** What calls say that they are for, unless they say it themselves. */
  readonly authority: string;
  readonly ended: (code: status) => void;
  readonly #wanted: Encoding;
  #accepted: string | undefined;

  /** `ended` hears of each call that is over. */
  constructor(
    core: MeshCore,
    { target, parsed, credentials, options }: ChannelParts,
    ended: (code: status) => void,
  ) {
    this.core = core;
    this.target = target;
    this.ended = ended;
    const isSecure = credentials._isSecure();
    const { authority = target, hasPort = true } = parsed ?? {};
    // gRPC's default port is that of https; the mesh knows services by names alone, too.
    this.origin = `${isSecure && !hasPort ? 'https' : 'http'}://${authority}`;
    this.authority = options['grpc.default_authority'] ?? authority;
    this.credentials = isSecure ? callCredentialsOf(credentials, authority, options) : undefined;
    this.channelId = String(Math.floor(core.random() * Number.MAX_SAFE_INTEGER));
    this.commonLines = commonLines(options);
    this.maxSendBytes = options['grpc.max_send_message_length'] ?? -1;
    this.maxReceiveBytes = options['grpc.max_receive_message_length'] ?? MAX_RECEIVE_BYTES;
    this.#wanted = encodingOf(options['grpc.default_compression_algorithm']);
  }

  get encoding(): Encoding {
    const isTaken = this.#accepted?.split(',').includes(this.#wanted) ?? true;
    return isTaken ? this.#wanted : 'identity';
  }

  lookup(): OutboundTarget | undefined {
    const found = this.core.lookup(this.origin);
    return found === 'unknown' ? undefined : found;
  }

  learn(accepted: string): void {
    this.#accepted = accepted;
  }
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
