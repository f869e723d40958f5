import { NO_OVERRIDES } from '../../../model/filter-config.js';
import type { RetryPolicy } from '../../../model/retry.js';
import type { RouteConfiguration } from '../../../model/route.js';
import { DEFAULT_RETRY } from '../retry-policy.js';
import { MATCH_ALL } from '../route-match.js';

/** Istio (ENABLE_INBOUND_RETRY_POLICY): what certainly did not reach the application is sent again. */
const INBOUND_RETRY: RetryPolicy = {
  ...DEFAULT_RETRY,
  retryOn: ['reset-before-request'],
  avoidPreviousHosts: false,
  hostSelectionAttempts: 1,
};

/** Where the requests to a port of the application go. */
export interface InboundTarget {
  readonly cluster: string;
  /** As its service calls it; 0 = nobody declared it. */
  readonly port: number;
  /** Of the service, for the names of spans; empty = of none. */
  readonly host: string;
}

/** The route table of a port: all requests go to the application, without a time limit (Istio). */
export function inboundRoutes({ cluster, port, host }: InboundTarget): RouteConfiguration {
  return {
    name: cluster,
    virtualHosts: [
      {
        name: `inbound|http|${port}`,
        domains: ['*'],
        routes: [
          {
            name: 'default',
            match: MATCH_ALL,
            decorator: { operation: `${host}:${port}/*`, propagate: true },
            action: {
              kind: 'forward',
              cluster: { kind: 'cluster', name: cluster },
              timeoutMs: 0,
              maxStreamDurationMs: 0,
              grpcTimeoutHeader: { maxMs: 0, offsetMs: undefined },
              retryPolicy: INBOUND_RETRY,
              priority: 'default',
            },
            filterOverrides: NO_OVERRIDES,
          },
        ],
        retryPolicy: undefined,
        filterOverrides: NO_OVERRIDES,
        includeRequestAttemptCount: false,
      },
    ],
  };
}
