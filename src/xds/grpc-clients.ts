import type { Client } from '@grpc/grpc-js';
import { inBackground } from '../runtime/background.js';
import { type CredentialsSource, defaultCredentials, type Grpc } from './channel-credentials.js';

/** How clients of one server are made. */
export interface GrpcClientOptions {
  readonly target: string;
  readonly credentials?: CredentialsSource | undefined;
  readonly keepaliveMs: number;
}

/** A connection that several streams share. */
export interface LeasedClient {
  readonly grpc: Grpc;
  readonly client: Client;
  /** With the last lease the connection is closed. */
  release(): void;
}

const CHANNEL_OPTIONS = {
  // A mesh's control traffic never goes through the proxies of the environment.
  'grpc.enable_http_proxy': 0,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 0,
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
  'grpc.max_send_message_length': 64 * 1024 * 1024,
  // grpc-js would share the back-off of failed connections between channels; ours is the only one that counts.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
} as const;

/** Lends the connection to one server: streams that stand at the same time share it, the next ones get a fresh one. */
export class GrpcClients {
  readonly #options: GrpcClientOptions;
  #shared: { readonly opening: Promise<readonly [Grpc, Client]>; leases: number } | undefined;

  constructor(options: GrpcClientOptions) {
    this.#options = options;
  }

  async lease(): Promise<LeasedClient> {
    this.#shared ??= { opening: this.#open(), leases: 0 };
    const shared = this.#shared;
    shared.leases++;
    const release = () => {
      shared.leases--;
      if (shared.leases > 0) return;
      if (this.#shared === shared) this.#shared = undefined;
      // A failure to open is told to whoever waits for the lease.
      shared.opening.then(([, client]) => client.close()).catch(() => {});
    };
    try {
      const [grpc, client] = await shared.opening;
      return { grpc, client, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #open(): Promise<readonly [Grpc, Client]> {
    // Loaded by the first stream.
    const grpc = await import('@grpc/grpc-js');
    const { target, credentials, keepaliveMs } = this.#options;
    const made = await (credentials ?? defaultCredentials(target))(grpc);
    const options = { ...CHANNEL_OPTIONS, 'grpc.keepalive_time_ms': keepaliveMs };
    return [grpc, new grpc.Client(target, inBackground(made), options)];
  }
}
