import { runForInbound } from '../service/inbound-scope.js';
import type { Request } from '../service/service.js';
import { carriesContext } from '../telemetry/propagation.js';

/**
 * Runs the application's part of an inbound request. The task hears whether it runs in a context of its own: events that come
 * later have to be brought there.
 */
export type InboundScope = (request: Request, task: (isOwn?: boolean) => void) => void;

/** The scope of spans, and for which requests there are any. */
export type SpanScope = InboundScope & { readonly covers: (request: Request) => boolean };

/**
 * How the application's part of an inbound request is run: so that outbound requests find it when it has a deadline or
 * trace headers to hand on, and plainly when it has neither. `inner` is the scope of spans, when there may be any.
 */
export function inboundScope(propagation: boolean, inner?: SpanScope): InboundScope {
  const run: InboundScope = (request, task) => {
    if (request.context.deadlineMs !== undefined || (propagation && carriesContext(request.headers))) {
      runForInbound(request, () => task(true));
    } else task();
  };
  if (inner === undefined) return run;
  return (request, task) => {
    if (!inner.covers(request)) run(request, task);
    else run(request, (isOwn) => inner(request, (isInnerOwn) => task(isOwn === true || isInnerOwn)));
  };
}
