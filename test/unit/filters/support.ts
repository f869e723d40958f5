import { NO_CUSTOM_FILTERS } from '../../../src/filters/custom-filters.js';
import type { FilterTools } from '../../../src/filters/filter.js';
import { createFilterMemory } from '../../../src/filters/filter-memory.js';
import { NO_RATE_LIMITS } from '../../../src/filters/route-rate-limits.js';
import { compileHeaderMatchers } from '../../../src/routing/match.js';
import { Abort } from '../../../src/runtime/abort.js';
import type { Clock } from '../../../src/runtime/clock.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { bytesBody, EMPTY_BODY } from '../../../src/service/body.js';
import { Completion } from '../../../src/service/completion.js';
import { createExchange } from '../../../src/service/context.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Request, Response } from '../../../src/service/service.js';

/** A GET with the given headers. */
export function makeRequest(
  change: Partial<Request> & { readonly header?: Record<string, string> } = {},
): Request {
  const { header, ...rest } = change;
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'reviews:9080',
    path: '/',
    headers: HeaderMap.from(Object.entries(header ?? {})),
    body: EMPTY_BODY,
    abort: new Abort(),
    context: createExchange('outbound', 0, 0.5),
    ...rest,
  };
}

/** An upstream answer that is complete. */
export function makeResponse(status: number, header: Record<string, string> = {}): Response {
  return {
    status,
    statusText: '',
    headers: HeaderMap.from(Object.entries(header)),
    body: bytesBody(`status ${status}`),
    completion: Completion.done,
  };
}

/** An upstream answer whose end the test decides. */
export function openResponse(status: number): Response & { readonly completion: Completion } {
  return { ...makeResponse(status), completion: new Completion() };
}

export function filterTools(clock: Clock, seed = 1): FilterTools {
  return {
    clock,
    random: seededRandom(seed),
    headerPredicate: compileHeaderMatchers,
    clusterName: 'outbound|9080|v1|reviews.default.svc.cluster.local',
    memory: createFilterMemory(),
    custom: NO_CUSTOM_FILTERS,
    rateLimits: NO_RATE_LIMITS,
    direction: 'outbound',
    node: { id: 'node', cluster: 'productpage' },
    upstream: () => undefined,
  };
}
