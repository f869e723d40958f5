import type { ResponseFlag } from '../service/context.js';
import { localReply } from '../service/local-reply.js';
import type { Request, Response } from '../service/service.js';

/** An answer that a filter gives itself. */
export interface FilterReply {
  readonly status: number;
  /** Text of the body; default none. gRPC callers get it as `grpc-message`. */
  readonly text?: string | undefined;
  /** Or a value that is sent as JSON. */
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Stable code, sent as `x-inmesh-reason`. Default `INMESH_FILTER_REPLY`. */
  readonly reason?: string | undefined;
  /** Envoy's RESPONSE_CODE_DETAILS, for access logs. Default `filter_reply`. */
  readonly details?: string | undefined;
  /** Envoy's response flag, for access logs and metrics. Default none. */
  readonly flag?: ResponseFlag | undefined;
  /** Status for gRPC callers; by default mapped from `status` as Envoy does. */
  readonly grpcStatus?: number | undefined;
}

const DEFAULTS = { reason: 'INMESH_FILTER_REPLY', details: 'filter_reply' };

/** Answers a request in a filter, so that it goes no further: `return reply(request, { status: 403, text: 'no' })`. */
export function reply(request: Request, answer: FilterReply): Response {
  const { status, json, headers = {}, flag, grpcStatus } = answer;
  const response = localReply(request, {
    status,
    body: answer.text ?? (json === undefined ? '' : JSON.stringify(json)),
    details: answer.details ?? DEFAULTS.details,
    reason: answer.reason ?? DEFAULTS.reason,
    ...(flag !== undefined && { flag }),
    ...(grpcStatus !== undefined && { grpcStatus }),
  });
  if (json !== undefined && response.headers.get('content-type') === 'text/plain') {
    response.headers.set('content-type', 'application/json');
  }
  for (const [name, value] of Object.entries(headers)) response.headers.set(name.toLowerCase(), value);
  return response;
}
