import * as grpc from '@grpc/grpc-js';
import type { AdsState } from './ads-state.js';

/** One stream as the server sees it; what to do with it is up to the test. */
export interface ServerStream {
  send(bytes: Uint8Array): void;
  /** Ends it with status OK. */
  end(): void;
  /** Ends it with an error status. */
  fail(code: grpc.status, details: string): void;
}

/** Decides what happens on a stream: hears each request, and its end. */
export type StreamHandler = (
  stream: ServerStream,
  metadata?: grpc.Metadata,
  /** Path of the method. */
  method?: string,
) => { onRequest(bytes: Uint8Array): void; onEnd?(): void };

/** An ADS server that does what a test tells it, right or wrong. */
export interface EvilAds {
  readonly port: number;
  /** How many streams were opened, and when. */
  readonly openedAtMs: readonly number[];
  /** Cuts every connection at once. */
  kill(): Promise<void>;
}

const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService';
const METHODS = {
  streamAggregatedResources: `${ADS}/StreamAggregatedResources`,
  deltaAggregatedResources: `${ADS}/DeltaAggregatedResources`,
  deltaVirtualHosts: '/envoy.service.route.v3.VirtualHostDiscoveryService/DeltaVirtualHosts',
};

const definitionOf = (path: string) => ({
  path,
  requestStream: true,
  responseStream: true,
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
});

/** Starts a server on this machine; port 0 takes a free one. */
export async function startEvilAds(
  handler: StreamHandler,
  port = 0,
  credentials = grpc.ServerCredentials.createInsecure(),
): Promise<EvilAds> {
  const server = new grpc.Server({ 'grpc.max_send_message_length': -1 });
  const openedAtMs: number[] = [];
  for (const [name, path] of Object.entries(METHODS)) {
    server.addService({ [name]: definitionOf(path) } as grpc.ServiceDefinition, {
      [name](call: grpc.ServerDuplexStream<Buffer, Buffer>) {
        openedAtMs.push(performance.now());
        const { onRequest, onEnd } = handler(
          {
            send: (bytes) => void call.write(Buffer.from(bytes)),
            end: () => call.end(),
            fail: (code, details) =>
              void call.emit('error', Object.assign(new Error(details), { code, details })),
          },
          call.metadata,
          path,
        );
        call.on('data', onRequest);
        call.on('end', () => call.end());
        call.on('error', () => {});
        call.on('cancelled', () => onEnd?.());
      },
    });
  }
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, actual) =>
      error === null ? resolve(actual) : reject(error),
    );
  });
  return {
    port: bound,
    openedAtMs,
    async kill() {
      server.forceShutdown();
      // forceShutdown destroys the sessions; the listening socket closes with tryShutdown.
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
    },
  };
}

/** The handler of a server that does everything right. */
export function behaved(state: AdsState): StreamHandler {
  return (stream, _metadata, method) => {
    const session = state.session((bytes) => stream.send(bytes), method);
    return { onRequest: (bytes) => session.take(bytes), onEnd: () => session.end() };
  };
}
