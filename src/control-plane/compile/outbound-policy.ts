import { NO_OVERRIDES } from '../../model/filter-config.js';
import type { OutboundListener } from '../../model/listener.js';
import type { RouteConfiguration } from '../../model/route.js';
import { outboundListener } from './listeners.js';
import { MATCH_ALL } from './route-match.js';

const NAME = 'block_all';

const routes: RouteConfiguration = {
  name: NAME,
  virtualHosts: [
    {
      name: NAME,
      domains: ['*'],
      routes: [
        {
          name: NAME,
          match: MATCH_ALL,
          action: { kind: 'direct-response', status: 502, body: '' },
          filterOverrides: NO_OVERRIDES,
        },
      ],
      retryPolicy: undefined,
      filterOverrides: NO_OVERRIDES,
      includeRequestAttemptCount: false,
    },
  ],
};

/** Istio's REGISTRY_ONLY: the listener `*` takes every host that no other listener knows, and answers 502. */
export const BLOCK_ALL: { readonly listener: OutboundListener; readonly routes: RouteConfiguration } = {
  listener: outboundListener(
    '*',
    NAME,
    routes.virtualHosts.flatMap((one) => one.routes),
  ),
  routes,
};
