import { mayHaveControls, type RequestControls, takeControls } from '../../routing/request-controls.js';
import { type RoutePlace, routeEffects } from '../../routing/route-effects.js';
import { systemClock } from '../../runtime/clock.js';
import { localReply } from '../../service/local-reply.js';
import type { Request } from '../../service/service.js';
import type { ExplainedHead } from './explanation.js';

/** A request as the endpoint receives it. */
export interface Rewritten {
  readonly head: ExplainedHead & { readonly changes: readonly string[] };
  /** What its headers asked of the router, which takes that off. */
  readonly controls: RequestControls | undefined;
}

/** Runs the route's own changes on a copy of the request; what is for the router is taken off where there is a cluster. */
export async function rewrittenBy(
  place: RoutePlace,
  request: Request,
  hasCluster: boolean,
): Promise<Rewritten> {
  const copy: Request = { ...request, headers: request.headers.clone() };
  await routeEffects(place, systemClock)?.(copy, async (changed) =>
    localReply(changed, { status: 200, body: '', details: '', reason: '' }),
  );
  const controls = hasCluster && mayHaveControls(copy.headers) ? takeControls(copy.headers) : undefined;
  const head = headOf(copy);
  return { head: { ...head, changes: changesBetween(headOf(request), head) }, controls };
}

function changesBetween(before: ExplainedHead, after: ExplainedHead): readonly string[] {
  const changes: string[] = [];
  for (const field of ['authority', 'path'] as const) {
    if (before[field] !== after[field]) changes.push(`${field}: ${before[field]} -> ${after[field]}`);
  }
  const lines = (head: ExplainedHead) => head.headers.map(([name, value]) => `${name}: ${value}`);
  const [old, now] = [lines(before), lines(after)];
  changes.push(...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`));
  changes.push(...old.filter((line) => !now.includes(line)).map((line) => `- ${line}`));
  return changes;
}

/** What of a request is shown. */
export function headOf({ method, scheme, authority, path, headers }: Request): ExplainedHead {
  return { method, scheme, authority, path, headers: [...headers] };
}
