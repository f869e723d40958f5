import { Server } from 'node:http';
import type { Span, TextMapGetter, TextMapSetter } from '@opentelemetry/api';
import type { Attempt } from '../service/context.js';
import { GRPC_STATUS_NAMES } from '../service/grpc-status-names.js';
import type { HeaderMap } from '../service/headers.js';
import type { ExchangeEnd, Observer } from '../service/observer.js';
import type { Filter, Request, Response } from '../service/service.js';
import {
  isRpcError,
  type RpcEnd,
  type RpcName,
  rpcAttributes,
  rpcOf,
  rpcStatusOf,
} from './rpc-attributes.js';
import { clientAttributes, endAttributes, serverAttributes } from './span-attributes.js';

const SETTER: TextMapSetter<HeaderMap> = {
  set: (headers, name, value) => headers.set(name.toLowerCase(), value),
};

const GETTER: TextMapGetter<HeaderMap> = {
  get: (headers, name) => headers.get(name.toLowerCase()),
  keys: (headers) => [...headers].map(([name]) => name),
};

/** Spans of both directions. */
export interface Spans {
  /** Records a client span per exchange, over all its attempts, and hands the trace context on. */
  readonly client: Filter;
  /** Runs an inbound request's application within a server span that continues the caller's trace. */
  readonly scope: (request: Request, task: (isOwn?: boolean) => void) => void;
  /** Ends the server spans. */
  readonly observer: Observer;
}

/** OpenTelemetry's SDK and propagators do nothing in a context with this key; it has no other public name. */
const SUPPRESS_TRACING = Symbol.for('OpenTelemetry SDK Context Key SUPPRESS_TRACING');

/**
 * Loads OpenTelemetry's API and makes the spans of its HTTP conventions: one per exchange, with an event for each attempt
 * when there were several. Propagation is what the application set up (`propagation.inject`: W3C unless it set another).
 *
 * Instrumentations of undici would record each attempt once more: while the mesh sends, tracing is suppressed for them.
 * An instrumentation of node:http records requests to servers itself, so there are no server spans besides it.
 */
export async function loadSpans(version: string): Promise<Spans> {
  const { context, propagation, SpanKind, SpanStatusCode, trace } = await import('@opentelemetry/api');
  const tracer = trace.getTracer('inmesh', version);
  const servers = new WeakMap<Request, Span>();

  const failed = (span: Span, type: string) => {
    span.setAttribute('error.type', type);
    span.setStatus({ code: SpanStatusCode.ERROR });
  };

  return {
    async client(request, next) {
      const rpc = rpcOf(request);
      const span = tracer.startSpan(nameOf(request, rpc), {
        kind: SpanKind.CLIENT,
        attributes: rpc === undefined ? clientAttributes(request) : rpcAttributes(request, rpc),
      });
      const active = trace.setSpan(context.active(), span);
      propagation.inject(active, request.headers, SETTER);
      let response: Response;
      try {
        response = await context.with(active.setValue(SUPPRESS_TRACING, true), next, undefined, request);
      } catch (error) {
        if (rpc !== undefined)
          endRpc(span, request, { response: undefined, trailers: undefined, error }, failed);
        else failed(span, error instanceof Error ? error.name : 'error');
        if (error instanceof Error) span.recordException(error);
        finish(span, request);
        throw error;
      }
      if (rpc !== undefined) {
        response.completion.onEnd(({ trailers, error }) => {
          endRpc(span, request, { response, trailers, error }, failed);
          finish(span, request);
        });
        return response;
      }
      span.setAttribute('http.response.status_code', response.status);
      // OpenTelemetry: for clients, 4xx and 5xx are errors.
      if (response.status >= 400) failed(span, response.local?.reason ?? String(response.status));
      response.completion.onEnd(() => finish(span, request));
      return response;
    },
    scope(request, task) {
      if (hasServerInstrumentation()) {
        task();
        return;
      }
      const parent = propagation.extract(context.active(), request.headers, GETTER);
      const rpc = rpcOf(request);
      const attributes = rpc === undefined ? serverAttributes(request) : rpcAttributes(request, rpc);
      const span = tracer.startSpan(nameOf(request, rpc), { kind: SpanKind.SERVER, attributes }, parent);
      servers.set(request, span);
      context.with(trace.setSpan(parent, span), task, undefined, true);
    },
    observer: {
      exchange(request: Request, { status, error, response }: ExchangeEnd) {
        const span = servers.get(request);
        if (span === undefined) return;
        servers.delete(request);
        if (rpcOf(request) !== undefined) {
          const { trailers } = response?.completion.end ?? {};
          endRpc(span, request, { response, trailers, error }, failed);
          finish(span, request);
          return;
        }
        if (status > 0) span.setAttribute('http.response.status_code', status);
        // OpenTelemetry: for servers, 4xx is the caller's fault and no error.
        if (status >= 500) failed(span, String(status));
        else if (error !== undefined) failed(span, error instanceof Error ? error.name : 'error');
        finish(span, request);
      },
    },
  };
}

/** Whether OpenTelemetry's instrumentation of node:http has taken over the servers of this process. */
function hasServerInstrumentation(): boolean {
  return '__wrapped' in Server.prototype.emit;
}

/** Tells a span what became of its call of gRPC. */
function endRpc(span: Span, request: Request, end: RpcEnd, failed: (span: Span, type: string) => void): void {
  const { response, error } = end;
  const status = rpcStatusOf(request, end);
  const reason = response?.local?.reason;
  if (status === undefined) {
    failed(span, reason ?? (error instanceof Error ? error.name : '_OTHER'));
    return;
  }
  span.setAttribute('rpc.grpc.status_code', status);
  if (isRpcError(status, request.context.direction)) {
    failed(span, reason ?? GRPC_STATUS_NAMES[status] ?? String(status));
  }
}

/** OpenTelemetry: a call is named by service and method, a request by its method alone. */
function nameOf({ method }: Request, rpc: RpcName | undefined): string {
  return rpc === undefined ? method : `${rpc.service}/${rpc.method}`;
}

function finish(span: Span, { context }: Request): void {
  span.setAttributes(endAttributes(context));
  const { attempts } = context;
  if (attempts !== undefined && attempts.length > 1)
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
