import type { Span, SpanAttributes, TextMapSetter, Tracer } from '@opentelemetry/api';
import type { HeaderMap } from '../service/headers.js';
import type { Filter, Request, Response } from '../service/service.js';

const SETTER: TextMapSetter<HeaderMap> = {
  set: (headers, name, value) => headers.set(name.toLowerCase(), value),
};

/**
 * Loads OpenTelemetry's API and makes the filter that records a client span per exchange, over all its attempts, and
 * hands the trace context on (`propagation.inject`: W3C unless the application set another propagator).
 *
 * Attribute names are those of OpenTelemetry's HTTP conventions: `http.request.method`, `server.address`,
 * `server.port`, `url.full`, `http.response.status_code`, `http.request.resend_count`, `error.type`.
 */
export async function loadSpans(version: string): Promise<Filter> {
  const { context, propagation, SpanKind, SpanStatusCode, trace } = await import('@opentelemetry/api');
  const tracer: Tracer = trace.getTracer('inmesh', version);
  return async (request, next) => {
    const span = tracer.startSpan(request.method, {
      kind: SpanKind.CLIENT,
      attributes: requestAttributes(request),
    });
    const active = trace.setSpan(context.active(), span);
    propagation.inject(active, request.headers, SETTER);
    let response: Response;
    try {
      response = await next(request);
    } catch (error) {
      const type = error instanceof Error ? error.name : 'error';
      span.setAttribute('error.type', type);
      span.setStatus({ code: SpanStatusCode.ERROR });
      if (error instanceof Error) span.recordException(error);
      end(span, request);
      throw error;
    }
    span.setAttribute('http.response.status_code', response.status);
    // OpenTelemetry: for clients, 4xx and 5xx are errors.
    if (response.status >= 400) {
      span.setAttribute('error.type', response.local?.reason ?? String(response.status));
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    response.completion.onEnd(() => end(span, request));
    return response;
  };
}

function requestAttributes(request: Request): SpanAttributes {
  const { scheme, authority, path, method } = request;
  const colon = authority.lastIndexOf(':');
  const port = colon > 0 && !authority.endsWith(']') ? Number(authority.slice(colon + 1)) : undefined;
  return {
    'http.request.method': method,
    'server.address': port === undefined ? authority : authority.slice(0, colon),
    'server.port': port ?? (scheme === 'https' ? 443 : 80),
    'url.full': `${scheme}://${authority}${path}`,
  };
}

/** What is known at the end only: which cluster and endpoint it was, and how often it was tried. */
function end(span: Span, { context }: Request): void {
  const { attemptCount, clusterName, upstreamHost, flags } = context;
  if (attemptCount > 1) span.setAttribute('http.request.resend_count', attemptCount - 1);
  if (clusterName !== undefined) span.setAttribute('upstream_cluster', clusterName);
  if (upstreamHost !== undefined) span.setAttribute('network.peer.address', upstreamHost);
  if (flags.length > 0) span.setAttribute('response_flags', flags.join(','));
  span.end();
}
