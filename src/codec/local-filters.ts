import { httpLocalRateLimit } from '../proto/xds.js';
import { type FilterCodec, filterCodec } from './filter-codec.js';
import { checkRouteLimit, decodeLocalRateLimit, encodeLocalRateLimit } from './local-rate-limit.js';

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
];
