import type { OutgoingHttpHeaders } from 'node:http';
import type { Body } from '../../service/body.js';
import { isGrpcType } from '../../service/local-reply.js';
import type { Request } from '../../service/service.js';

/** RFC 9113 §8.2.2: these concern one connection, and HTTP/2 has its own ways. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'host',
]);

/** Methods whose requests say that they have a body even when it is empty (RFC 9110 §8.6). */
const BODY_METHODS: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** The head of a request as node:http2 takes it. */
export function http2Head(request: Request): OutgoingHttpHeaders {
  const { headers } = request;
  const head: OutgoingHttpHeaders = {
    ':method': request.method,
    ':authority': headers.get('host') ?? request.authority,
    ':scheme': request.scheme,
    ':path': request.path,
  };
  const dropped = headers.has('connection') ? namedBy(headers.getAll('connection')) : undefined;
  const lines = headers.toLines();
  for (let i = 0; i < lines.length; i += 2) {
    // Lines come in pairs.
    const name = lines[i] as string;
    if (OF_THE_CONNECTION.has(name) || dropped?.has(name) === true) continue;
    const value = name === 'te' ? trailersOnly(lines[i + 1] ?? '') : lines[i + 1];
    if (value !== undefined) add(head, name, value);
  }
  // Clients of gRPC do not say it.
  if (head['content-length'] === undefined && !isGrpcHead(head)) {
    const length = lengthOf(request.body, request.method);
    if (length !== undefined) head['content-length'] = String(length);
  }
  return head;
}

function isGrpcHead({ ':method': method, 'content-type': type }: OutgoingHttpHeaders): boolean {
  return method === 'POST' && typeof type === 'string' && isGrpcType(type);
}

function add(head: OutgoingHttpHeaders, name: string, value: string): void {
  const before = head[name];
  if (before === undefined) head[name] = value;
  else if (Array.isArray(before)) before.push(value);
  // Numbers are never put there.
  else head[name] = [before as string, value];
}

/** RFC 9113 §8.2.2: the one value of TE that may be sent. */
function trailersOnly(value: string): string | undefined {
  return value.split(',').some((one) => one.trim().toLowerCase() === 'trailers') ? 'trailers' : undefined;
}

/** RFC 9110 §7.6.1: what the Connection header names goes no further. */
function namedBy(values: readonly string[]): ReadonlySet<string> {
  return new Set(values.flatMap((value) => value.split(',').map((name) => name.trim().toLowerCase())));
}

function lengthOf(body: Body, method: string): number | undefined {
  switch (body.kind) {
    case 'empty':
      return BODY_METHODS.has(method) ? 0 : undefined;
    case 'bytes':
      return typeof body.bytes === 'string' ? Buffer.byteLength(body.bytes) : body.bytes.byteLength;
    case 'native':
      return body.length;
    case 'push':
      return undefined;
  }
}
