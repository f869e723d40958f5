import { NO_OVERRIDES } from '../../model/filter-config.js';
import type { Route, VirtualHost } from '../../model/route.js';
import { MATCH_ALL } from './route-match.js';

/** A virtual host for all hosts that no other one takes, which does one thing with every request. */
export function catchAllHost(name: string, action: Route['action']): VirtualHost {
  return {
    name,
    domains: ['*'],
    routes: [{ name, match: MATCH_ALL, action, filterOverrides: NO_OVERRIDES }],
    retryPolicy: undefined,
    filterOverrides: NO_OVERRIDES,
    includeRequestAttemptCount: false,
  };
}

/** One that sends all requests to a cluster. */
export function catchAllForward(name: string, cluster: string): VirtualHost {
  return catchAllHost(name, {
    kind: 'forward',
    cluster: { kind: 'cluster', name: cluster },
    timeoutMs: 0,
    retryPolicy: undefined,
    maxStreamDurationMs: undefined,
    priority: 'default',
  });
}
