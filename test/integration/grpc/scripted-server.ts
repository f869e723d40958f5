import { once } from 'node:events';
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { deflateSync, gzipSync } from 'node:zlib';

/** What a server does with a call, right or wrong. */
export type Script = (stream: ServerHttp2Stream) => void;

/** A server of HTTP/2 that answers each path as its script says. */
export interface ScriptedServer {
  readonly port: number;
  readonly sessions: ReadonlySet<ServerHttp2Session>;
  close(): Promise<void>;
}

/** Starts a server whose calls run the script that their path names, after the last slash. */
export async function serveScripts(scripts: Readonly<Record<string, Script>>): Promise<ScriptedServer> {
  const server: Http2Server = createServer();
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {});
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    const name = String(headers[':path']).split('/').at(-1) ?? '';
    scripts[name]?.(stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    sessions,
    async close() {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A message with its prefix. */
export function frame(message: string | Buffer, flags = 0): Buffer {
  const bytes = Buffer.from(message);
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(bytes.byteLength, 1);
  return Buffer.concat([prefix, bytes]);
}

export type Headers = Readonly<Record<string, string | string[] | number>>;

/** A whole answer: head, body in these pieces, trailers. */
export interface Answer {
  readonly head?: Headers;
  readonly pieces?: readonly Buffer[];
  /** Undefined = the body ends without any. */
  readonly trailers?: Headers | undefined;
}

/** Answers so; each piece is a write of its own. */
export function answer({ head = {}, pieces = [], trailers = { 'grpc-status': '0' } }: Answer): Script {
  return (stream) => {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', ...head },
      { waitForTrailers: true },
    );
    stream.once('wantTrailers', () => stream.sendTrailers(trailers));
    for (const piece of pieces) stream.write(piece);
    stream.end();
  };
}

/** An answer without trailers. */
export function answerOnly(head: Headers, body?: Buffer): Script {
  return (stream) => {
    stream.respond({ 'content-type': 'application/grpc', ...head }, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
  };
}

/** Resets the stream with a code, after the head and after messages when there are any. */
export function reset(code: number, after: 'nothing' | 'head' | 'message'): Script {
  return (stream) => {
    if (after === 'nothing') {
      stream.close(code);
      return;
    }
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    if (after === 'message') stream.write(frame('one'));
    // The frames before it are to be on their way.
    setTimeout(() => stream.close(code), 20);
  };
}

export const gzipped = (text: string): Buffer => frame(gzipSync(text), 1);
export const deflated = (text: string): Buffer => frame(deflateSync(text), 1);
