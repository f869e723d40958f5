import { Server } from 'node:http';
import { context, type Span, SpanKind, trace } from '@opentelemetry/api';
import type { Random } from '../runtime/random.js';
import type { Exchange, ExchangeTrace } from '../service/context.js';
import type { ExchangeEnd, Observer } from '../service/observer.js';
import type { Filter, Request, Response } from '../service/service.js';
import { beginAttempt } from './attempt-span.js';
import { exchangeTags, type SpanOrigin } from './envoy-tags.js';
import { endSpan, type SpanEnd } from './span-ends.js';
import { isReporting, SpanStarter, type StartedSpan } from './span-start.js';
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

/** OpenTelemetry's SDK and propagators do nothing in a context with this key; it has no other public name. */
const SUPPRESS_TRACING = Symbol.for('OpenTelemetry SDK Context Key SUPPRESS_TRACING');

/** Tells the other side how a span is called (Envoy). */
const DECORATOR = 'x-envoy-decorator-operation';

/** Of an inbound request. */
const WITHOUT_ATTEMPTS: ExchangeTrace = { attempt: undefined };

/** An inbound request that is worked for. */
interface Served extends StartedSpan {
  readonly plan: TracePlan | undefined;
}

/** Makes the spans; this module and those it imports load OpenTelemetry's API. */
export function createSpans({ version, origin, random }: SpanTools): Spans {
  const tracer = trace.getTracer('inmesh', version);
  const starter = new SpanStarter(tracer, random);
  const served = new WeakMap<Exchange, Served>();

  const close = (span: Span, request: Request, end: SpanEnd, plan: TracePlan | undefined): void => {
    if (plan !== undefined) {
      span.setAttributes(exchangeTags(request, end, origin, plan.maxPathTagLength));
      setCustomTags(span, request, end, plan);
    }
    endSpan(span, request, end);
  };

  /** What the request is sent with: its context, and what attempts do with it. */
  const beginCall = (request: Request, plan: TracePlan | undefined): StartedSpan => {
    const spawns = plan?.spawnsUpstreamSpans === true;
    const started = starter.start(request, plan, spawns ? SpanKind.INTERNAL : SpanKind.CLIENT);
    const { span, active } = started;
    starter.hand(request.headers, started, plan);
    if (spawns && span.isRecording())
      request.context.trace = { attempt: beginAttempt(request, { tracer, active, plan, starter }) };
    const decorator = plan?.decorator;
    if (decorator?.propagate === true) request.headers.set(DECORATOR, decorator.operation);
    return started;
  };

  const client = (plan?: TracePlan): Filter => {
    return async (request, next) => {
      if (plan !== undefined && !isReporting()) return next(request);
      const { span, active } = beginCall(request, plan);
      const isRecording = span.isRecording();
      let response: Response;
      try {
        response = await context.with(active.setValue(SUPPRESS_TRACING, true), next, undefined, request);
      } catch (error) {
        if (isRecording) close(span, request, { status: 0, response: undefined, error }, plan);
        throw error;
      }
      if (plan !== undefined) renameByAnswer(span, response);
      if (isRecording) {
        const { status } = response;
        response.completion.onEnd(({ error }) => close(span, request, { status, response, error }, plan));
      }
      return response;
    };
  };

  const begin = (request: Request, plan: TracePlan | undefined): Served => {
    const started = { ...starter.start(request, plan, SpanKind.SERVER), plan };
    served.set(request.context, started);
    request.context.trace = WITHOUT_ATTEMPTS;
    return started;
  };

  const server = (plan: TracePlan): Filter => {
    return (request, next) => {
      if (isReporting() && !hasServerInstrumentation()) begin(request, plan);
      return next(request);
    };
  };

  return {
    client,
    server,
    scope(request, task) {
      if (hasServerInstrumentation()) {
        task();
        return;
      }
      const { active } = served.get(request.context) ?? begin(request, undefined);
      context.with(active, task, undefined, true);
    },
    observer: {
      exchange(request: Request, { status, error, response }: ExchangeEnd) {
        const known = served.get(request.context);
        if (known === undefined) return;
        served.delete(request.context);
        if (known.span.isRecording()) close(known.span, request, { status, response, error }, known.plan);
      },
    },
  };
}

function setCustomTags(span: Span, request: Request, { response, status }: SpanEnd, plan: TracePlan): void {
  if (plan.tags.length === 0) return;
  const input = {
    request,
    response: response ?? (status === 0 ? undefined : { status, headers: request.headers }),
    trailers: response?.completion.end?.trailers,
    exchange: request.context,
  };
  for (const { name, read } of plan.tags) {
    const value = read(input);
    if (value !== undefined) span.setAttribute(name, value);
  }
}

/** Envoy: the other side may say how it calls what was asked of it. */
function renameByAnswer(span: Span, { headers }: Response): void {
  const name = headers.take(DECORATOR);
  if (name !== undefined && name !== '') span.updateName(name);
}

/** Whether OpenTelemetry's instrumentation of node:http has taken over the servers of this process. */
function hasServerInstrumentation(): boolean {
  return '__wrapped' in Server.prototype.emit;
}
