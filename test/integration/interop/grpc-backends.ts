import * as grpc from '@grpc/grpc-js';

/** A plain gRPC server that says its name, and does what the request's metadata says. */
export interface GrpcBackend {
  readonly name: string;
  readonly port: number;
  calls: number;
  /** Fails every call with this code, when set. */
  failsWith: number | undefined;
  close(): void;
}

const bytes = (value: Buffer) => value;
const method = (path: string) => ({
  path,
  requestStream: false,
  responseStream: false,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
});
const SERVICE = { Say: method('/interop.Echo/Say'), Other: method('/interop.Echo/Other') };

/**
 * Starts a backend. Metadata: `x-fail` a status code, `x-fail-times` how often for one `x-id`, `x-delay` milliseconds, and
 * `x-say` the name of a header to answer with.
 */
export async function startGrpcBackend(name: string, address = '127.0.0.1:0'): Promise<GrpcBackend> {
  const server = new grpc.Server();
  const failures = new Map<string, number>();
  const answer = (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
    backend.calls++;
    const header = (key: string) => call.metadata.get(key).map(String).join();
    const code = backend.failsWith ?? Number(header('x-fail') || 0);
    const id = header('x-id');
    const times = Number(header('x-fail-times') || Number.POSITIVE_INFINITY);
    const failed = failures.get(id) ?? 0;
    const reply = () => {
      if (code !== 0 && failed < times) {
        if (id !== '') failures.set(id, failed + 1);
        callback({ code, details: `${name} fails` });
      } else callback(null, Buffer.from(header('x-say') === '' ? name : header(header('x-say'))));
    };
    const delayMs = Number(header('x-delay') || 0);
    if (delayMs > 0) setTimeout(reply, delayMs);
    else reply();
  };
  server.addService(SERVICE, { Say: answer, Other: answer });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const backend: GrpcBackend = {
    name,
    port,
    calls: 0,
    failsWith: undefined,
    close: () => server.forceShutdown(),
  };
  return backend;
}
