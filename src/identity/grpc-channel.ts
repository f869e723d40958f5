import type { ChannelCredentials, Client, ClientReadableStream, Metadata, ServiceError } from '@grpc/grpc-js';
import { inBackground } from '../runtime/background.js';
import type { Clock } from '../runtime/clock.js';

/** Makes the credentials of a connection to an agent; the library is loaded when it is needed. */
export type AgentCredentials = (grpc: typeof import('@grpc/grpc-js')) => ChannelCredentials;

/** How a server of identities is called. */
export interface ChannelSpec {
  /** gRPC target: `unix:///run/agent.sock`, `ipv4:127.0.0.1:8081`. */
  readonly target: string;
  /** Plaintext when absent. */
  readonly credentials?: AgentCredentials | undefined;
  /** Sent with every call. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly maxMessageBytes: number;
}

/** A call that failed, with the code that gRPC gives it. */
export class CallFailure extends Error {
  readonly status: number;

  constructor(status: number, details: string) {
    super(details);
    this.status = status;
  }
}

/** The codes of gRPC that mean something here. */
export const GrpcStatus = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  unimplemented: 12,
  unavailable: 14,
} as const;

/** What a stream of answers tells. */
export interface StreamListener {
  message(bytes: Uint8Array): void;
  /** Once, when it is over; a stream that ends well has status 0. */
  end(failure: CallFailure): void;
}

/** A stream that is open until it ends or is cancelled. */
export interface OpenStream {
  /** Sends a further request; for streams in both directions. */
  send(bytes: Uint8Array): void;
  /** Ends it; nothing is told any more. */
  cancel(): void;
}

/**
 * Opens a stream on a connection of its own, which ends with it: so a server that comes back is found without the back-off
 * that grpc-js keeps for a connection. `request` is what is asked, once; without one the stream goes both ways.
 */
export async function openStream(
  spec: ChannelSpec,
  path: string,
  request: Uint8Array | undefined,
  listener: StreamListener,
): Promise<OpenStream> {
  // It is open for as long as the process lives, and no reason for it to live.
  const { client, metadata } = await connect(spec, inBackground);
  const duplex = request === undefined ? client.makeBidiStreamRequest(path, asIs, asIs, metadata) : undefined;
  const call =
    duplex ?? client.makeServerStreamRequest(path, asIs, asIs, Buffer.from(request ?? []), metadata);
  let isOver = false;
  const finish = (failure: CallFailure) => {
    if (isOver) return;
    isOver = true;
    client.close();
    listener.end(failure);
  };
  follow(call, (bytes) => !isOver && listener.message(bytes), finish);
  return {
    send(bytes) {
      if (!isOver) duplex?.write(Buffer.from(bytes));
    },
    cancel() {
      isOver = true;
      call.cancel();
      client.close();
    },
  };
}

function follow(
  call: ClientReadableStream<Buffer>,
  message: (bytes: Uint8Array) => void,
  finish: (failure: CallFailure) => void,
): void {
  call.on('data', message);
  call.on('error', (error: Partial<ServiceError>) =>
    finish(new CallFailure(error.code ?? GrpcStatus.unavailable, error.details ?? error.message ?? '')),
  );
  call.on('status', ({ code, details }: { code: number; details: string }) =>
    finish(new CallFailure(code, details)),
  );
}

/** How one question is asked. */
export interface UnaryOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/** Asks one question; rejects with {@link CallFailure}. */
export async function callOnce(
  spec: ChannelSpec,
  path: string,
  request: Uint8Array,
  { clock, timeoutMs }: UnaryOptions,
): Promise<Uint8Array> {
  const { client, metadata } = await connect(spec);
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      const call = client.makeUnaryRequest(
        path,
        asIs,
        asIs,
        Buffer.from(request),
        metadata,
        {},
        (error, answer) => {
          timer.cancel();
          if (error === null) resolve(answer ?? new Uint8Array());
          else reject(new CallFailure(error.code, error.details));
        },
      );
      const timer = clock.schedule(timeoutMs, () => {
        call.cancel();
        reject(new CallFailure(GrpcStatus.deadlineExceeded, `no answer within ${timeoutMs} ms`));
      });
    });
  } finally {
    client.close();
  }
}

async function connect(
  spec: ChannelSpec,
  change: (credentials: ChannelCredentials) => ChannelCredentials = (credentials) => credentials,
): Promise<{ readonly client: Client; readonly metadata: Metadata }> {
  // Loaded by the first call.
  const grpc = await import('@grpc/grpc-js');
  const credentials = spec.credentials?.(grpc) ?? grpc.credentials.createInsecure();
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(spec.metadata)) metadata.set(name, value);
  const client = new grpc.Client(spec.target, change(credentials), {
    'grpc.max_receive_message_length': spec.maxMessageBytes,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
  });
  return { client, metadata };
}

const asIs = (bytes: Buffer) => bytes;
