import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type Body, EMPTY_BODY, iterateBody } from '../../service/body.js';
import type { Completion } from '../../service/completion.js';
import { HeaderMap } from '../../service/headers.js';
import type { Response } from '../../service/service.js';

/** RFC 9113 §8.2.2: no message of HTTP/2 has these. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** Lines of headers or trailers as Node's HTTP/2 was given them, without those that begin with a colon. */
export function linesOfSent(sent: OutgoingHttpHeaders | undefined): HeaderMap {
  const lines: string[] = [];
  for (const name in sent) {
    if (name.charCodeAt(0) === 58) continue;
    const value = sent[name];
    if (Array.isArray(value)) for (const one of value) lines.push(name, one);
    else if (value !== undefined) lines.push(name, String(value));
  }
  return HeaderMap.fromLines(lines);
}

/** Headers for Node's HTTP/2. */
export function sentOfLines(status: number, headers: HeaderMap): OutgoingHttpHeaders {
  const sent: OutgoingHttpHeaders = { ':status': status };
  for (const [name, value] of headers) {
    if (OF_THE_CONNECTION.has(name)) continue;
    const before = sent[name];
    if (before === undefined) sent[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else sent[name] = [String(before), value];
  }
  return sent;
}

/** What the application answered; its headers are read only if somebody asks. */
export class StreamResponse implements Response {
  readonly completion: Completion;
  readonly statusText = '';
  body: Body = EMPTY_BODY;
  readonly #stream: ServerHttp2Stream;
  #headers: HeaderMap | undefined;

  constructor(stream: ServerHttp2Stream, completion: Completion) {
    this.#stream = stream;
    this.completion = completion;
  }

  get status(): number {
    return statusOf(this.#stream);
  }

  get headers(): HeaderMap {
    this.#headers ??= linesOfSent(this.#stream.sentHeaders);
    return this.#headers;
  }
}

/** Status of the head that was sent; 0 = none. */
export function statusOf({ headersSent, sentHeaders }: ServerHttp2Stream): number {
  if (!headersSent) return 0;
  const status: unknown = sentHeaders[':status'];
  return typeof status === 'number' ? status : Number(status ?? 200);
}

/** Writes a filter's answer. */
export async function writeAnswer(stream: ServerHttp2Stream, response: Response): Promise<void> {
  const { body } = response;
  const head = sentOfLines(response.status, response.headers);
  if (body.kind === 'empty') {
    stream.respond(head, { endStream: true });
    return;
  }
  stream.respond(head);
  if (body.kind === 'bytes') {
    stream.end(body.bytes);
    return;
  }
  for await (const chunk of iterateBody(body)) {
    if (stream.destroyed) return;
    if (!stream.write(chunk)) await writable(stream);
  }
  stream.end();
}

function writable(stream: ServerHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.removeListener('drain', done);
      stream.removeListener('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
  });
}
