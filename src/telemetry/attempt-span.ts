import { type Context, SpanKind, type Tracer, trace } from '@opentelemetry/api';
import type { AttemptTrace } from '../service/context.js';
import { inputOf } from '../service/format/tools.js';
import type { Request } from '../service/service.js';
import { attemptTags } from './envoy-tags.js';
import { fail } from './span-ends.js';
import type { SpanStarter } from './span-start.js';
import type { TracePlan } from './trace-plan.js';

interface AttemptSpans {
  readonly tracer: Tracer;
  /** The context of the exchange's span. */
  readonly active: Context;
  readonly plan: TracePlan;
  readonly starter: SpanStarter;
}

/** Envoy `spawn_upstream_span`: each attempt is a child of the exchange's span, and the parent of what comes of it. */
export function beginAttempt(
  request: Request,
  { tracer, active, plan, starter }: AttemptSpans,
): AttemptTrace {
  return (headers, attempt, clusterName) => {
    const name = plan.upstreamOperation?.(inputOf(request)) || `router ${clusterName} egress`;
    const attributes = {
      'http.request.method': request.method,
      ...(attempt.host !== undefined && { 'network.peer.address': attempt.host }),
      ...(attempt.number > 1 && { 'http.request.resend_count': attempt.number - 1 }),
    };
    const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, active);
    starter.hand(headers, { active: trace.setSpan(active, span) }, plan);
    return (ended, error) => {
      span.setAttributes(attemptTags(request, ended, error, clusterName));
      if (ended.status !== undefined) span.setAttribute('http.response.status_code', ended.status);
      if (error !== undefined) fail(span, error instanceof Error ? error.name : 'error');
      else if (ended.status !== undefined && ended.status >= 400) fail(span, String(ended.status));
      span.end();
    };
  };
}
