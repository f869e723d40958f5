import type { Random } from '../runtime/random.js';
import type { Observer } from '../service/observer.js';
import type { Filter, Request } from '../service/service.js';
import type { SpanOrigin } from './envoy-tags.js';
import type { TracePlan } from './trace-plan.js';

/** Spans of both directions. */
export interface Spans {
  /**
   * Records a client span per exchange, over all its attempts, and hands the trace context on. With a plan, as the control
   * plane says; without one, as the tracer's own sampler does.
   */
  readonly client: (plan?: TracePlan) => Filter;
  /** Begins the server span of an inbound request where its filters begin. */
  readonly server: (plan: TracePlan) => Filter;
  /** Runs an inbound request's application within its server span, which begins here where there is no plan for it. */
  readonly scope: (request: Request, task: (isOwn?: boolean) => void) => void;
  /** Ends the server spans. */
  readonly observer: Observer;
}

/** What spans are made with. */
export interface SpanTools {
  readonly version: string;
  readonly origin: SpanOrigin;
  readonly random: Random;
}

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
