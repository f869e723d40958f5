import { create } from '@bufbuild/protobuf';
import type { OnDemandConfig, OnDemandRouteConfig } from '../model/on-demand.js';
import { httpOnDemand } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { type FilterCodec, filterCodec } from './filter-codec.js';

// Clusters on demand (`odcds`) are not built: clusters are asked for as routes name them.
const filterFields = onlyFields(() => httpOnDemand.OnDemandSchema, { enforced: [] });
const routeFields = onlyFields(() => httpOnDemand.PerRouteConfigSchema, { enforced: [] });

/** The filter for virtual hosts that come when they are asked for. */
export const ON_DEMAND_CODECS: readonly FilterCodec[] = [
  filterCodec({
    kind: 'on-demand',
    schema: () => httpOnDemand.OnDemandSchema,
    isPerRoute: false,
    // Virtual hosts of servers come with their table.
    isOutbound: true,
    decode: (message, path): OnDemandConfig => {
      filterFields(message, path);
      return { kind: 'on-demand' };
    },
    encode: () => create(httpOnDemand.OnDemandSchema),
  }),
  filterCodec({
    kind: 'on-demand-route',
    schema: () => httpOnDemand.PerRouteConfigSchema,
    isPerRoute: 'only',
    decode: (message, path): OnDemandRouteConfig => {
      routeFields(message, path);
      return { kind: 'on-demand-route' };
    },
    encode: () => create(httpOnDemand.PerRouteConfigSchema),
  }),
];
