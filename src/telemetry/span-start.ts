import { randomBytes } from 'node:crypto';
import {
  type Context,
  context,
  isSpanContextValid,
  ProxyTracerProvider,
  propagation,
  type Span,
  SpanKind,
  type TextMapGetter,
  type TextMapSetter,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { Random } from '../runtime/random.js';
import { inputOf } from '../service/format/tools.js';
import type { HeaderMap } from '../service/headers.js';
import type { Request } from '../service/service.js';
import { B3 } from './b3.js';
import { type RpcName, rpcAttributes, rpcOf } from './rpc-attributes.js';
import { clientAttributes, serverAttributes } from './span-attributes.js';
import { decidesToTrace } from './trace-decision.js';
import type { TracePlan } from './trace-plan.js';

const SETTER: TextMapSetter<HeaderMap> = {
  set: (headers, name, value) => headers.set(name.toLowerCase(), value),
};

const GETTER: TextMapGetter<HeaderMap> = {
  get: (headers, name) => headers.get(name.toLowerCase()),
  keys: (headers) => [...headers].map(([name]) => name),
};

/** What a process has that reports nothing. */
const NOBODY = new ProxyTracerProvider().getDelegate();

/** Whether spans are reported: without a tracer provider of the application there is nothing to make them for. */
export function isReporting(): boolean {
  const provider = trace.getTracerProvider();
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegate() !== NOBODY;
}

/** A span and the context in which it is the current one. */
export interface StartedSpan {
  readonly span: Span;
  readonly active: Context;
}

/** Begins spans of requests and hands their contexts on. */
export class SpanStarter {
  readonly #tracer: Tracer;
  readonly #random: Random;

  constructor(tracer: Tracer, random: Random) {
    this.#tracer = tracer;
    this.#random = random;
  }

  /** Continues the trace that the request belongs to, or begins one where the plan wants that. */
  start(request: Request, plan: TracePlan | undefined, kind: SpanKind): StartedSpan {
    const { headers } = request;
    const isClient = kind !== SpanKind.SERVER;
    const around = context.active();
    const found = isClient && hasTrace(around) ? around : extract(around, headers, plan);
    const isTraced = plan === undefined || decidesToTrace(headers, plan, this.#random);
    if (!isTraced && !hasTrace(found)) return nowhere(found);
    const rpc = rpcOf(request);
    const startAttributes = isClient ? clientAttributes : serverAttributes;
    const attributes = rpc === undefined ? startAttributes(request) : rpcAttributes(request, rpc);
    const span = this.#tracer.startSpan(nameOf(request, rpc, plan), { kind, attributes }, found);
    return { span, active: trace.setSpan(found, span) };
  }

  /** Writes the context of a span into headers. */
  hand(headers: HeaderMap, { active }: Pick<StartedSpan, 'active'>, plan: TracePlan | undefined): void {
    if (plan === undefined || plan.headers === 'own') {
      if (plan?.propagates !== false) propagation.inject(active, headers, SETTER);
      return;
    }
    if (!plan.propagates) return;
    B3.inject(active, headers, SETTER);
    if (plan.headers === 'b3-and-w3c') propagation.inject(active, headers, SETTER);
  }
}

function extract(around: Context, headers: HeaderMap, plan: TracePlan | undefined): Context {
  if (plan === undefined || plan.headers === 'own') return propagation.extract(around, headers, GETTER);
  const found = B3.extract(around, headers, GETTER);
  if (hasTrace(found) || plan.headers === 'b3') return found;
  return propagation.extract(around, headers, GETTER);
}

function hasTrace(one: Context): boolean {
  const known = trace.getSpanContext(one);
  return known !== undefined && isSpanContextValid(known);
}

/** Envoy: what is not traced has a context all the same, so that nobody after it decides anew. */
function nowhere(around: Context): StartedSpan {
  const ids = randomBytes(24).toString('hex');
  const span = trace.wrapSpanContext({
    traceId: ids.slice(0, 32),
    spanId: ids.slice(32),
    traceFlags: TraceFlags.NONE,
  });
  return { span, active: trace.setSpan(around, span) };
}

/** Tells a server how its caller calls what it asks for (Envoy). */
const DECORATOR = 'x-envoy-decorator-operation';

/** OpenTelemetry: a call is named by service and method, a request by its method alone; the control plane may name both. */
function nameOf(request: Request, rpc: RpcName | undefined, plan: TracePlan | undefined): string {
  const own = plan === undefined ? undefined : plannedName(request, plan);
  return own || (rpc === undefined ? request.method : `${rpc.service}/${rpc.method}`);
}

function plannedName(request: Request, plan: TracePlan): string | undefined {
  // Whatever it is called, the application need not hear of it.
  const asked = request.context.direction === 'inbound' ? request.headers.take(DECORATOR) : undefined;
  if (plan.operation !== undefined) return plan.operation(inputOf(request));
  return asked || plan.decorator?.operation;
}
