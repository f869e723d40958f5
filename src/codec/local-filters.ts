import { httpLocalRateLimit, httpRbac } from '../proto/xds.js';
import { type FilterCodec, filterCodec } from './filter-codec.js';
import { checkRouteLimit, decodeLocalRateLimit, encodeLocalRateLimit } from './local-rate-limit.js';
import { decodeRbac, decodeRbacRoute, encodeRbac, encodeRbacRoute } from './rbac.js';

/** The filters that decide by themselves, without asking a service. */
export const LOCAL_FILTER_CODECS: readonly FilterCodec[] = [
  filterCodec({
    kind: 'local-rate-limit',
    schema: () => httpLocalRateLimit.LocalRateLimitSchema,
    isPerRoute: true,
    decode: decodeLocalRateLimit,
    encode: encodeLocalRateLimit,
    checkRoute: checkRouteLimit,
  }),
  filterCodec({
    kind: 'rbac',
    schema: () => httpRbac.RBACSchema,
    isPerRoute: false,
    decode: decodeRbac,
    encode: encodeRbac,
  }),
  filterCodec({
    kind: 'rbac-route',
    schema: () => httpRbac.RBACPerRouteSchema,
    isPerRoute: 'only',
    decode: decodeRbacRoute,
    encode: encodeRbacRoute,
  }),
];
