import { channel } from 'node:diagnostics_channel';
import type { HeaderMap } from '../service/headers.js';
import { currentInbound } from '../service/inbound-scope.js';
import type { Request } from '../service/service.js';

/** Headers that identify a request on its way through several services. */
const REQUEST_ID = 'x-request-id';

/**
 * Headers that carry a trace: W3C trace context and baggage, B3 in both forms, and those that Istio's documentation
 * asks applications to hand on.
 */
const TRACE_HEADERS: ReadonlySet<string> = new Set([
  'traceparent',
  'tracestate',
  'baggage',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'x-cloud-trace-context',
  'grpc-trace-bin',
  'x-ot-span-context',
  'x-datadog-trace-id',
  'x-datadog-parent-id',
  'x-datadog-sampling-priority',
  'sw8',
]);

/** Whether a request carries anything that {@link propagate} would hand on. */
export function carriesContext(headers: HeaderMap): boolean {
  const raw = headers.toRaw();
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i];
    if (typeof name === 'string' && isContextName(name.toLowerCase())) return true;
  }
  return false;
}

/** OpenTelemetry's instrumentation of undici listens there and writes the trace headers itself. */
const instrumented = channel('undici:request:create');

/**
 * Hands the trace headers of the inbound request that is being worked for on to an outbound one, so that traces hold
 * together without code in the application. What the application set itself stays.
 */
export function propagate({ headers }: Request): void {
  const inbound = currentInbound();
  if (inbound === undefined) return;
  const lines = inbound.headers.toLines();
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] ?? '';
    if (!isContextName(name)) continue;
    if (name !== REQUEST_ID && instrumented.hasSubscribers) continue;
    if (!headers.has(name)) headers.append(name, lines[i + 1] ?? '');
  }
}

function isContextName(name: string): boolean {
  return name === REQUEST_ID || TRACE_HEADERS.has(name);
}
