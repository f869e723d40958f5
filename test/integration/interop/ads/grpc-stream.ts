import { constants, createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';

/** gRPC statuses that tests end streams with. */
export const STATUS = {
  OK: 0,
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
};

/** A bidirectional gRPC call, down to its bytes: gRPC over HTTP/2 as its specification frames it. */
export interface GrpcCall {
  readonly path: string;
  /** Sends one message. */
  send(message: Uint8Array): void;
  /** Sends bytes as they are, whatever gRPC makes of them. */
  write(bytes: Uint8Array): void;
  /** Ends the call with a status. */
  end(code: number, details?: string): void;
  /** Resets the HTTP/2 stream. */
  reset(): void;
  readonly isOver: boolean;
}

/** Hears a call's messages and its end. */
export interface GrpcCallListener {
  onMessage(message: Buffer): void;
  onEnd(): void;
}

export interface GrpcServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves gRPC on a port of this machine; `accept` returns undefined for methods that it does not have. */
export async function serveGrpc(
  accept: (call: GrpcCall) => GrpcCallListener | undefined,
  port = 0,
): Promise<GrpcServer> {
  const server = createServer({ settings: { maxConcurrentStreams: 100 } });
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {});
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    const call = new Http2Call(stream, String(headers[':path']));
    const listener = accept(call);
    if (listener === undefined) call.end(STATUS.UNIMPLEMENTED, `no method ${call.path}`);
    else call.listen(listener);
  });
  await listening(server, port);
  return {
    // A listening TCP server has an address of this form.
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
}

function listening(server: Http2Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve());
  });
}

/** A gRPC message with its five bytes in front: not compressed, and its length. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

class Http2Call implements GrpcCall {
  readonly path: string;
  readonly #stream: ServerHttp2Stream;
  #trailers: Record<string, string> = {};
  #isOver = false;

  constructor(stream: ServerHttp2Stream, path: string) {
    this.#stream = stream;
    this.path = path;
    stream.on('wantTrailers', () => stream.sendTrailers(this.#trailers));
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  listen({ onMessage, onEnd }: GrpcCallListener): void {
    let rest = Buffer.alloc(0);
    this.#stream.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const end = 5 + rest.readUInt32BE(1);
        const message = rest.subarray(5, end);
        rest = rest.subarray(end);
        onMessage(message);
      }
    });
    this.#stream.on('end', () => this.end(STATUS.OK));
    this.#stream.on('close', () => {
      this.#isOver = true;
      onEnd();
    });
  }

  send(message: Uint8Array): void {
    this.write(framed(message));
  }

  write(bytes: Uint8Array): void {
    if (this.#isOver || this.#stream.destroyed) return;
    this.#open();
    this.#stream.write(bytes);
  }

  end(code: number, details = ''): void {
    if (this.#isOver || this.#stream.destroyed) return;
    this.#trailers = { 'grpc-status': String(code), 'grpc-message': encodeURIComponent(details) };
    this.#open();
    this.#isOver = true;
    this.#stream.end();
  }

  reset(): void {
    this.#isOver = true;
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  #open(): void {
    if (this.#stream.headersSent) return;
    this.#stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  }
}
