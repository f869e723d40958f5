import type * as Http2 from 'node:http2';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { InboundLimits } from '../../../model/inbound-limits.js';
import type { Clock } from '../../../runtime/clock.js';
import type { InboundPeer } from '../connection.js';
import type { ConnectionEnd } from '../connection-chain.js';
import { InboundSession } from './inbound-session.js';
import { requestText } from './request-text.js';
import { StreamSocket } from './stream-socket.js';

/** RFC 9113 §3.4: what a client that knows beforehand begins with. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** RFC 9113 §4.1: the frame's flag that no body follows. */
const END_STREAM = 0x1;

/** Streams of one connection at once (Envoy's default since 1.36). */
const MAX_CONCURRENT_STREAMS = 1024;
/** What a client may send ahead while the application does not read. */
const STREAM_WINDOW = 1024 * 1024;
const CONNECTION_WINDOW = 16 * 1024 * 1024;

/** Names of ALPN by which HTTP/2 is chosen; Istio's own prefix marks connections between proxies. */
export const HTTP2_ALPN: readonly string[] = ['h2', 'istio-h2'];

export interface Http2FrontOptions {
  readonly clock: Clock;
  /** What a connection is held to; undefined = nothing. */
  readonly limits?: (end: ConnectionEnd) => InboundLimits | undefined;
  /** Takes a stream, as a connection of HTTP/1.1 that carries one request. */
  readonly accepted: (socket: Duplex, peer: InboundPeer | undefined) => void;
}

/** Whether a plaintext connection that begins so speaks HTTP/2. */
export function isHttp2Preface(chunk: Buffer): boolean {
  const length = Math.min(chunk.length, PREFACE.length);
  // Shorter pieces could still become a POST, PUT or PATCH.
  return length > 2 && chunk.compare(PREFACE, 0, length, 0, length) === 0;
}

/** Whether what came so far begins like the preface of HTTP/2 and like methods of HTTP/1.1. */
export function mayBecomePreface(chunk: Buffer): boolean {
  return chunk.length < 3 && chunk.compare(PREFACE, 0, chunk.length, 0, chunk.length) === 0;
}

/** Speaks HTTP/2 with clients in front of a server that speaks HTTP/1.1. */
export class Http2Front {
  readonly #options: Http2FrontOptions;
  readonly #sessions = new Set<InboundSession>();
  #server: Http2.Http2Server | undefined;
  #closed: (() => void) | undefined;
  #arriving: ConnectionEnd | undefined;

  constructor(options: Http2FrontOptions) {
    this.#options = options;
  }

  get sessions(): ReadonlySet<InboundSession> {
    return this.#sessions;
  }

  /** Takes a connection whose client speaks HTTP/2. */
  accept(socket: Duplex, peer: InboundPeer | undefined): void {
    this.#server ??= this.#create();
    // The session event of this connection comes within this call.
    this.#arriving = { socket, peer };
    this.#server.emit('connection', socket);
    this.#arriving = undefined;
  }

  /** Calls back once when no connection is left. */
  onEmpty(listener: () => void): void {
    this.#closed = listener;
  }

  #create(): Http2.Http2Server {
    // Loaded with the first connection: servers that nobody asks for HTTP/2 do without.
    const { createServer } = createRequire(import.meta.url)('node:http2') as typeof Http2;
    const server = createServer({
      settings: {
        maxConcurrentStreams: MAX_CONCURRENT_STREAMS,
        initialWindowSize: STREAM_WINDOW,
        // Upgrades come as CONNECT (RFC 8441); whether one is allowed is told by the filter chain.
        enableConnectProtocol: true,
      },
    });
    server.on('session', (session) => this.#session(session));
    return server;
  }

  #session(session: ServerHttp2Session): void {
    const arriving = this.#arriving;
    if (arriving === undefined) {
      session.destroy();
      return;
    }
    const { socket, peer } = arriving;
    const entry = new InboundSession(
      session,
      arriving,
      this.#options.clock,
      this.#options.limits?.(arriving),
    );
    this.#sessions.add(entry);
    session.setLocalWindowSize(CONNECTION_WINDOW);
    session.on('error', ignore);
    session.on('stream', (stream, _headers, flags, ...rest: unknown[]) => {
      entry.carries(stream);
      // Node gives the raw lines as a further argument, which its types leave out.
      this.#stream(stream, flags, (rest[0] ?? []) as string[], socket as Socket, peer);
    });
    session.once('close', () => {
      this.#sessions.delete(entry);
      if (this.#sessions.size === 0) this.#closed?.();
    });
  }

  #stream(
    stream: ServerHttp2Stream,
    flags: number,
    raw: readonly string[],
    carrier: Socket,
    peer: InboundPeer | undefined,
  ): void {
    const hasBody = (flags & END_STREAM) === 0;
    const request = requestText(raw, hasBody);
    if (request === undefined) {
      stream.on('error', ignore);
      stream.respond({ ':status': 400 }, { endStream: true });
      return;
    }
    this.#options.accepted(new StreamSocket(stream, carrier, request, hasBody), peer);
  }
}

function ignore(): void {}
