import {
  type Context,
  isValidSpanId,
  isValidTraceId,
  type SpanContext,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
  TraceFlags,
  trace,
} from '@opentelemetry/api';

const TRACE_ID = 'x-b3-traceid';
const SPAN_ID = 'x-b3-spanid';
const PARENT_ID = 'x-b3-parentspanid';
const SAMPLED = 'x-b3-sampled';
const FLAGS = 'x-b3-flags';
const SINGLE = 'b3';

/** Carries contexts in Zipkin's headers, as Envoy's tracer for it does: it reads `b3` and `x-b3-*`, and writes the latter. */
export const B3: TextMapPropagator = {
  inject(context: Context, carrier: unknown, { set }: TextMapSetter): void {
    const span = trace.getSpanContext(context);
    if (span === undefined || !isValidTraceId(span.traceId) || !isValidSpanId(span.spanId)) return;
    set(carrier, TRACE_ID, span.traceId);
    set(carrier, SPAN_ID, span.spanId);
    set(carrier, SAMPLED, (span.traceFlags & TraceFlags.SAMPLED) === 0 ? '0' : '1');
  },
  extract(context: Context, carrier: unknown, { get }: TextMapGetter): Context {
    const header = (name: string): string | undefined => {
      const value = get(carrier, name);
      return typeof value === 'string' ? value : value?.[0];
    };
    const found = readSingle(header(SINGLE)) ?? readMulti(header);
    return found === undefined ? context : trace.setSpanContext(context, found);
  },
  fields: () => [TRACE_ID, SPAN_ID, PARENT_ID, SAMPLED, FLAGS],
};

/** `{trace}-{span}-{sampled}-{parent}`; the last two may be missing. */
function readSingle(text: string | undefined): SpanContext | undefined {
  if (text === undefined) return undefined;
  const [traceId = '', spanId = '', sampled] = text.split('-');
  return contextOf(traceId, spanId, sampled === undefined || /^[1d]$/.test(sampled));
}

function readMulti(header: (name: string) => string | undefined): SpanContext | undefined {
  const sampled = header(SAMPLED);
  const isDebug = header(FLAGS) === '1';
  // Zipkin: without a word about it the receiver decides; it decides to go on with what somebody began.
  const isSampled = isDebug || sampled === undefined || /^(?:1|true)$/i.test(sampled);
  return contextOf(header(TRACE_ID) ?? '', header(SPAN_ID) ?? '', isSampled);
}

function contextOf(traceId: string, spanId: string, isSampled: boolean): SpanContext | undefined {
  // Ids of 64 bits are the lower half.
  const id = traceId.toLowerCase().padStart(32, '0');
  const span = spanId.toLowerCase();
  if (!isValidTraceId(id) || !isValidSpanId(span)) return undefined;
  return {
    traceId: id,
    spanId: span,
    traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
  };
}
