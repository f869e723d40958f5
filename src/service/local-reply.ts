import { bytesBody, EMPTY_BODY } from './body.js';
import { Completion } from './completion.js';
import type { ResponseFlag } from './context.js';
import { HeaderMap } from './headers.js';
import type { Request, Response } from './service.js';

/** An answer that is made here instead of upstream. */
export interface LocalReply {
  readonly status: number;
  /** Text of the body, as Envoy words it; empty for none. */
  readonly body: string;
  /** Envoy's RESPONSE_CODE_DETAILS. */
  readonly details: string;
  /** Stable `INMESH_*` code, sent as `x-inmesh-reason`. */
  readonly reason: string;
  readonly flag?: ResponseFlag;
  readonly headers?: readonly (readonly [string, string])[];
  /** gRPC status to answer gRPC callers with; by default mapped from `status`, or what the gRFCs say where the caller is a client of gRPC. */
  readonly grpcStatus?: number;
}

/**
 * Answers a request here, as Envoy's local replies do: plain text for HTTP; for gRPC callers HTTP 200 with
 * `grpc-status` and `grpc-message` in the headers.
 */
export function localReply(request: Request, reply: LocalReply): Response {
  const { context } = request;
  if (reply.flag !== undefined && !context.flags.includes(reply.flag)) context.flags.push(reply.flag);
  context.details = reply.details;
  const headers = HeaderMap.empty();
  const local = { reason: reply.reason, details: reply.details };
  if (isGrpc(request)) {
    headers.append('content-type', 'application/grpc');
    headers.append('grpc-status', String(reply.grpcStatus ?? statusOfCall(request, reply)));
    if (reply.body !== '') headers.append('grpc-message', percentEncode(reply.body));
    addExtra(headers, reply);
    return { status: 200, statusText: '', headers, body: EMPTY_BODY, completion: Completion.done, local };
  }
  const isHead = request.method === 'HEAD';
  if (reply.body !== '') {
    const length = Buffer.byteLength(reply.body);
    headers.append('content-length', String(length));
    if (!isHead) context.responseBytes = length;
    headers.append('content-type', 'text/plain');
  }
  addExtra(headers, reply);
  const body = isHead ? EMPTY_BODY : bytesBody(reply.body);
  return { status: reply.status, statusText: '', headers, body, completion: Completion.done, local };
}

/** Whether the request is gRPC: content type `application/grpc` or `application/grpc+…` (Envoy's rule). */
export function isGrpc(request: Request): boolean {
  return isGrpcType(request.headers.get('content-type'));
}

/** Whether a content type is that of gRPC. */
export function isGrpcType(type: string | undefined): boolean {
  if (type === undefined || !type.startsWith('application/grpc')) return false;
  return type.length === 16 || type[16] === '+';
}

/** What clients of gRPC say where Envoy's mapping says something else: gRFC A31 (a time limit), A28 (no route). */
const OF_CALLS: Readonly<Record<string, number>> = { INMESH_TIMEOUT: 4, INMESH_NO_ROUTE: 14 };

function statusOfCall({ context }: Request, { status, reason }: LocalReply): number {
  const own = context.channelId === undefined ? undefined : OF_CALLS[reason];
  return own ?? grpcStatusOf(status);
}

/** Envoy's mapping of HTTP status to gRPC status for local replies. */
export function grpcStatusOf(status: number): number {
  switch (status) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}

function addExtra(headers: HeaderMap, reply: LocalReply): void {
  headers.append('x-inmesh-reason', reply.reason);
  for (const [name, value] of reply.headers ?? []) headers.append(name, value);
}

/** gRPC over HTTP/2: bytes outside printable ASCII and `%` are percent-encoded in `grpc-message`. */
function percentEncode(text: string): string {
  let out = '';
  for (const byte of Buffer.from(text)) {
    out +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}
