import type { ChannelOptions, status } from '@grpc/grpc-js';
import type { MeshCore, OutboundTarget } from '../../mesh/core.js';
import type { CallPlace } from './call-place.js';
import { transportLines } from './common-lines.js';
import { retryLimits } from './retry-config.js';
import { type MethodSettingsOf, methodSettings } from './service-config.js';

/** gRPC: 4 MiB. */
const MAX_RECEIVE_BYTES = 4 * 1024 * 1024;

/** What a channel that grpc-js itself runs lends to its calls: above them messages are framed, limited, and compressed. */
export class FramedPlace implements CallPlace {
  readonly core: MeshCore;
  readonly target: string;
  readonly channelId: string;
  readonly isFramed = true;
  readonly commonLines: readonly string[];
  readonly maxSendBytes = -1;
  readonly maxReceiveBytes: number;
  readonly credentials = undefined;
  readonly encoding = 'identity';
  readonly waiting = new Set<{ cancelWithStatus(code: status, details: string): void }>();
  /** What the channel's service config says. */
  readonly settings: MethodSettingsOf;
  readonly origin: string;

  constructor(core: MeshCore, target: string, options: ChannelOptions) {
    this.core = core;
    this.target = target;
    this.channelId = String(Math.floor(core.random() * Number.MAX_SAFE_INTEGER));
    this.commonLines = transportLines(options);
    this.settings = methodSettings(options['grpc.service_config'], retryLimits(options));
    this.maxReceiveBytes = options['grpc.max_receive_message_length'] ?? MAX_RECEIVE_BYTES;
    this.origin = `http://${target}`;
  }

  /** Whether the mesh can't tell yet whose the target is. */
  get isUnknown(): boolean {
    return this.core.lookup(this.origin) === 'unknown';
  }

  lookup(): OutboundTarget | undefined {
    const found = this.core.lookup(this.origin);
    return found === 'unknown' ? undefined : found;
  }

  learn(): void {}

  ended(): void {}
}
