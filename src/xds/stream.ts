import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '../runtime/clock.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import type { CredentialsSource } from './channel-credentials.js';
import { GrpcClients, type LeasedClient } from './grpc-clients.js';

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
  /** Interval of pings while a stream stands. Default 30 s. */
  readonly keepaliveMs?: number;
}

/** Opens gRPC streams to one target. grpc-js is loaded by the first one. */
export function createStreamOpener(options: StreamOptions): OpenStream {
  const { target, credentials, keepaliveMs = 30_000 } = options;
  const clients = new GrpcClients({ target, credentials, keepaliveMs });
  return async (method, listener) =>
    new GrpcStream({ lease: await clients.lease(), method, listener, options });
}

interface StreamParts {
  readonly lease: LeasedClient;
  readonly method: string;
  readonly listener: StreamListener;
  readonly options: StreamOptions;
}

class GrpcStream implements ByteStream {
  readonly #lease: LeasedClient;
  readonly #call: ClientDuplexStream<Uint8Array, Uint8Array>;
  readonly #listener: StreamListener;
  readonly #target: string;
  readonly #stopTimer: () => void;
  #isOver = false;

  constructor({ lease, method, listener, options }: StreamParts) {
    this.#lease = lease;
    this.#listener = listener;
    this.#target = options.target;
    this.#call = lease.client.makeBidiStreamRequest(method, toBuffer, asBytes);
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
    this.#lease.release();
  }

  #watch(): void {
    if (this.#isOver) return;
    const channel = this.#lease.client.getChannel();
    const state = channel.getConnectivityState(true);
    if (state === this.#lease.grpc.connectivityState.READY) {
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

function toBuffer(message: Uint8Array): Buffer {
  return Buffer.from(message.buffer, message.byteOffset, message.byteLength);
}

function asBytes(message: Buffer): Uint8Array {
  return message;
}
