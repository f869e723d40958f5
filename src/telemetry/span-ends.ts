import { type Span, SpanStatusCode } from '@opentelemetry/api';
import type { Attempt } from '../service/context.js';
import { GRPC_STATUS_NAMES } from '../service/grpc-status-names.js';
import type { Request, Response } from '../service/service.js';
import { isRpcError, type RpcEnd, rpcOf, rpcStatusOf } from './rpc-attributes.js';
import { endAttributes } from './span-attributes.js';

/** How an exchange ended: with an answer, or with an error. */
export interface SpanEnd {
  readonly status: number;
  readonly response: Response | undefined;
  readonly error: unknown;
}

/** Tells a span what became of its exchange, by OpenTelemetry's conventions, and ends it. */
export function endSpan(span: Span, request: Request, { status, response, error }: SpanEnd): void {
  const isClient = request.context.direction === 'outbound';
  if (rpcOf(request) !== undefined) {
    endRpc(span, request, { response, trailers: response?.completion.end?.trailers, error });
  } else if (status > 0) {
    span.setAttribute('http.response.status_code', status);
    // OpenTelemetry: for clients 4xx is an error, too; for servers it is the caller's fault.
    if (status >= (isClient ? 400 : 500)) fail(span, response?.local?.reason ?? String(status));
    else if (error !== undefined && !isClient) fail(span, nameOfError(error));
  } else if (error !== undefined) fail(span, nameOfError(error));
  if (isClient && status === 0 && error instanceof Error) span.recordException(error);
  finish(span, request);
}

function nameOfError(error: unknown): string {
  return error instanceof Error ? error.name : 'error';
}

/** Marks a span as that of a failure. */
export function fail(span: Span, type: string): void {
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

function endRpc(span: Span, request: Request, end: RpcEnd): void {
  const { response, error } = end;
  const status = rpcStatusOf(request, end);
  const reason = response?.local?.reason;
  if (status === undefined) {
    fail(span, reason ?? (error instanceof Error ? error.name : '_OTHER'));
    return;
  }
  span.setAttribute('rpc.grpc.status_code', status);
  if (isRpcError(status, request.context.direction)) {
    fail(span, reason ?? GRPC_STATUS_NAMES[status] ?? String(status));
  }
}

function finish(span: Span, { context }: Request): void {
  span.setAttributes(endAttributes(context));
  const { attempts, trace } = context;
  // Attempts that have spans of their own need no events.
  if (attempts !== undefined && attempts.length > 1 && trace?.attempt === undefined)
    for (const one of attempts) addAttempt(span, one, context.startMs);
  span.end();
}

function addAttempt(
  span: Span,
  { number, host, status, error, startMs, durationMs }: Attempt,
  beginMs: number,
): void {
  span.addEvent('inmesh.attempt', {
    'inmesh.attempt.number': number,
    ...(host !== undefined && { 'network.peer.address': host }),
    ...(status !== undefined && { 'http.response.status_code': status }),
    ...(error !== undefined && { 'error.type': error instanceof Error ? error.name : 'error' }),
    'inmesh.attempt.started_after_ms': startMs - beginMs,
    ...(durationMs !== undefined && { 'inmesh.attempt.duration_ms': durationMs }),
  });
}
