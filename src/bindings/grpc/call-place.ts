import type { CallCredentials, status } from '@grpc/grpc-js';
import type { MeshCore, OutboundTarget } from '../../mesh/core.js';
import type { Encoding } from './compression.js';

/** What a channel lends to its calls. */
export interface CallPlace {
  readonly core: MeshCore;
  /** The target as the application wrote it. */
  readonly target: string;
  /** The target as `lookup` takes it. */
  readonly origin: string;
  /** Names a channel for placing its calls by it (gRFC A42). */
  readonly channelId: string;
  /** Messages come and go with their prefixes: whoever is above frames and compresses them. */
  readonly isFramed: boolean;
  /** Header lines that all calls of the channel have. */
  readonly commonLines: readonly string[];
  /** Longest messages in bytes; -1 = any. */
  readonly maxSendBytes: number;
  readonly maxReceiveBytes: number;
  /** Those that come with the channel's own credentials; undefined = none. */
  readonly credentials: CallCredentials | undefined;
  /** The way to the target; undefined when the mesh does not own it any more. */
  lookup(): OutboundTarget | undefined;
  /** How messages are compressed, as far as the server is known to take it. */
  readonly encoding: Encoding;
  /** The server said what it takes. */
  learn(accepted: string): void;
  /** A call ended. */
  ended(code: status): void;
  /** A call waits for the target to be ready: a channel that closes fails it. */
  readonly waiting: Set<{ cancelWithStatus(code: status, details: string): void }>;
}
