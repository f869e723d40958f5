import type { ChannelCredentials, Client, ClientDuplexStream } from '@grpc/grpc-js';
import { splitHostPort } from '../model/address.js';
import type { Clock } from '../runtime/clock.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import { inBackground } from './background.js';

type Grpc = typeof import('@grpc/grpc-js');

/** Makes the credentials of a connection, anew for each one, so that a rotated identity is picked up. */
export type CredentialsSource = (grpc: Grpc) => ChannelCredentials;

/** One gRPC stream that carries encoded messages both ways. */
export interface ByteStream {
  send(message: Uint8Array): void;
  /** Ends it; `onEnd` is not called any more. */
  close(): void;
}

/** What a stream tells its owner. */
export interface StreamListener {
  /** The connection is up. */
  onReady(): void;
  onMessage(message: Uint8Array): void;
  /** The stream is gone; called once. */
  onEnd(error: MeshError): void;
}

/** Opens a stream. */
export type OpenStream = (method: string, listener: StreamListener) => Promise<ByteStream>;

/** How to reach the control plane. */
export interface StreamOptions {
  /** `host:port` or `unix:/path`. */
  readonly target: string;
  readonly credentials?: CredentialsSource | undefined;
  readonly clock: Clock;
  /** Default 10 s. */
  readonly connectTimeoutMs?: number;
}

const CHANNEL_OPTIONS = {
  // A mesh's control traffic never goes through the proxies of the environment.
  'grpc.enable_http_proxy': 0,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 0,
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
  'grpc.max_send_message_length': 64 * 1024 * 1024,
  // grpc-js would share the back-off of failed connections between channels; ours is the only one that counts.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
} as const;

/** Opens gRPC streams to one target. grpc-js is loaded by the first one. */
export function createStreamOpener(options: StreamOptions): OpenStream {
  return async (method, listener) => {
    const grpc = await import('@grpc/grpc-js');
    return new GrpcStream({ grpc, method, listener, options });
  };
}

/** Whether a target is on this machine, where plaintext is allowed. */
export function isLoopback(target: string): boolean {
  if (target.startsWith('unix:')) return true;
  const { host } = splitHostPort(target.replace(/^dns:(\/\/[^/]*\/)?/, ''));
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

interface StreamParts {
  readonly grpc: Grpc;
  readonly method: string;
  readonly listener: StreamListener;
  readonly options: StreamOptions;
}

class GrpcStream implements ByteStream {
  readonly #grpc: Grpc;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<Uint8Array, Uint8Array>;
  readonly #listener: StreamListener;
  readonly #target: string;
  readonly #stopTimer: () => void;
  #isOver = false;

  constructor({ grpc, method, listener, options }: StreamParts) {
    this.#grpc = grpc;
    this.#listener = listener;
    this.#target = options.target;
    this.#client = new grpc.Client(
      options.target,
      inBackground(credentialsFor(grpc, options)),
      CHANNEL_OPTIONS,
    );
    this.#call = this.#client.makeBidiStreamRequest(method, toBuffer, asBytes);
    this.#call.on('data', (message: Uint8Array) => this.#receive(message));
    this.#call.on('error', (error: Error) => this.#end(error));
    this.#call.on('end', () => this.#end(new Error('the server closed the stream')));
    const { connectTimeoutMs = 10_000, clock } = options;
    const timer = clock.schedule(connectTimeoutMs, () =>
      this.#end(new Error(`no connection within ${connectTimeoutMs} ms`)),
    );
    this.#stopTimer = () => timer.cancel();
    this.#watch();
  }

  send(message: Uint8Array): void {
    if (!this.#isOver) this.#call.write(message);
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopTimer();
    this.#call.cancel();
    this.#client.close();
  }

  #watch(): void {
    if (this.#isOver) return;
    const channel = this.#client.getChannel();
    const state = channel.getConnectivityState(true);
    if (state === this.#grpc.connectivityState.READY) {
      this.#stopTimer();
      this.#listener.onReady();
      return;
    }
    channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => this.#watch());
  }

  #receive(message: Uint8Array): void {
    if (!this.#isOver) this.#listener.onMessage(message);
  }

  #end(cause: Error): void {
    if (this.#isOver) return;
    this.close();
    this.#listener.onEnd(
      new MeshError(
        'INMESH_CONTROL_PLANE_UNAVAILABLE',
        `the stream to the control plane ended: ${messageOf(cause)}`,
        {
          cause,
          resource: this.#target,
          hint: 'The configuration in force stays; check that the control plane runs and is reachable',
        },
      ),
    );
  }
}

function credentialsFor(grpc: Grpc, { target, credentials }: StreamOptions): ChannelCredentials {
  if (credentials !== undefined) return credentials(grpc);
  return isLoopback(target) ? grpc.credentials.createInsecure() : grpc.credentials.createSsl();
}

function toBuffer(message: Uint8Array): Buffer {
  return Buffer.from(message.buffer, message.byteOffset, message.byteLength);
}

function asBytes(message: Buffer): Uint8Array {
  return message;
}
