import type { Spans, SpanTools } from './make-spans.js';

export type { Spans, SpanTools } from './make-spans.js';

/**
 * Loads OpenTelemetry's API and makes the spans of its HTTP conventions: one per exchange, with an event or a span for each
 * attempt. Propagation is what the application set up (`propagation.inject`: W3C unless it set another), or Zipkin's
 * where the control plane says so.
 *
 * Instrumentations of undici would record each attempt once more: while the mesh sends, tracing is suppressed for them.
 * An instrumentation of node:http records requests to servers itself, so there are no server spans besides it.
 */
export async function loadSpans(tools: SpanTools): Promise<Spans> {
  const { createSpans } = await import('./make-spans.js');
  return createSpans(tools);
}
