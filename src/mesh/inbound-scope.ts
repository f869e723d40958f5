import { runForInbound } from '../service/inbound-scope.js';
import type { Request } from '../service/service.js';
import { carriesContext } from '../telemetry/propagation.js';

/**
 * How the application's part of an inbound request is run: so that outbound requests find it when it has a deadline or
 * trace headers to hand on, and plainly when it has neither.
 */
export function inboundScope(propagation: boolean): (request: Request, task: () => void) => void {
  return (request, task) => {
    if (request.context.deadlineMs !== undefined || (propagation && carriesContext(request.headers))) {
      runForInbound(request, task);
    } else task();
  };
}
