import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { decodeGlobalRateLimit, decodeGlobalRateLimitRoute } from '../../../src/codec/global-rate-limit.js';
import { rootPath } from '../../../src/codec/path.js';
import { core, httpRateLimit as filter, type rateLimit } from '../../../src/proto/xds.js';

type Init = Exclude<MessageInitShape<typeof filter.RateLimitSchema>, filter.RateLimit>;

const SERVICE = {
  grpcService: { targetSpecifier: { case: 'envoyGrpc', value: { clusterName: 'limits' } } },
  transportApiVersion: core.ApiVersion.V3,
} as const satisfies MessageInitShape<typeof rateLimit.RateLimitServiceConfigSchema>;
const decode = (change: Init = {}) =>
  decodeGlobalRateLimit(
    create(filter.RateLimitSchema, { domain: 'shop', rateLimitService: SERVICE, ...change }),
    rootPath('LDS l'),
  );
const decodeRoute = (init: MessageInitShape<typeof filter.RateLimitPerRouteSchema>) =>
  decodeGlobalRateLimitRoute(create(filter.RateLimitPerRouteSchema, init), rootPath('RDS r'));
/** A number that no enum has, as the wire may bring it. */
const unknown = (value: number) => value as never;
const ACTION = { actionSpecifier: { case: 'sourceCluster', value: {} } } as const;

describe('the global rate limit filter', () => {
  test('has Envoy’s defaults', () => {
    expect(decode()).toEqual({
      kind: 'global-rate-limit',
      domain: 'shop',
      stage: 0,
      requests: 'both',
      timeoutMs: 20,
      failureModeDeny: false,
      failureModeDenyPercent: undefined,
      resourceExhausted: false,
      service: {
        cluster: 'limits',
        authority: '',
        timeoutMs: undefined,
        initialMetadata: [],
        maxReceiveBytes: undefined,
      },
      rateLimitHeaders: false,
      rateLimitedHeader: true,
      status: 429,
      responseHeaders: [],
      statusOnError: 500,
      statPrefix: '',
      enabled: undefined,
      enforced: undefined,
      rateLimits: undefined,
    });
  });

  test('takes a status that refuses nothing, or is none of an answer, for not set', () => {
    expect(decode({ rateLimitedStatus: { code: 302 }, statusOnError: { code: 100 } })).toMatchObject({
      status: 429,
      statusOnError: 500,
    });
  });

  test('waits without end when its timeout is 0', () => {
    expect(decode({ timeout: { seconds: 0n } }).timeoutMs).toBe(0);
  });

  test.each<[Init, string]>([
    [{ domain: '' }, 'domain'],
    [{ stage: 11 }, 'stage'],
    [{ requestType: 'some' }, 'request_type'],
    [{ timeout: { seconds: -1n } }, 'timeout'],
    [{ rateLimitedStatus: { code: unknown(600) } }, 'rate_limited_status'],
    [{ statusOnError: { code: unknown(600) } }, 'status_on_error'],
    [{ enableXRatelimitHeaders: unknown(2) }, 'enable_x_ratelimit_headers'],
    [{ filterEnabled: {} }, 'filter_enabled.default_value'],
    [
      { responseHeadersToAdd: Array.from({ length: 11 }, () => ({ header: { key: 'a' } })) },
      'response_headers_to_add',
    ],
    [{ rateLimits: [{ actions: [] }] }, 'rate_limits[0].actions'],
    [{ rateLimits: [{ actions: [ACTION], stage: 1 }] }, 'rate_limits[0].stage'],
    [{ rateLimits: [{ actions: [ACTION], disableKey: 'a' }] }, 'rate_limits[0].disable_key'],
    [{ rateLimitService: {} }, 'rate_limit_service.transport_api_version'],
    [{ rateLimitService: { transportApiVersion: core.ApiVersion.V3 } }, 'rate_limit_service.grpc_service'],
    [
      { rateLimitService: { ...SERVICE, transportApiVersion: core.ApiVersion.AUTO } },
      'rate_limit_service.transport_api_version',
    ],
    [
      {
        rateLimitService: {
          ...SERVICE,
          grpcService: { targetSpecifier: { case: 'googleGrpc', value: { targetUri: 'a' } } },
        },
      },
      'rate_limit_service.grpc_service.google_grpc',
    ],
    [
      {
        rateLimitService: {
          ...SERVICE,
          grpcService: { targetSpecifier: { case: 'envoyGrpc', value: {} } },
        },
      },
      'rate_limit_service.grpc_service.envoy_grpc.cluster_name',
    ],
  ])('is refused, %#', (change, field) => {
    expect(() => decode(change)).toThrow(field);
  });

  test('needs a service', () => {
    const message = create(filter.RateLimitSchema, { domain: 'shop' });
    expect(() => decodeGlobalRateLimit(message, rootPath('LDS l'))).toThrow('rate_limit_service');
  });
});

describe('the global rate limit of a route', () => {
  const { DEFAULT, OVERRIDE_POLICY, INCLUDE_POLICY, IGNORE_POLICY } =
    filter.RateLimitPerRoute_OverrideOptions;
  const { OVERRIDE, INCLUDE, IGNORE } = filter.RateLimitPerRoute_VhRateLimitsOptions;

  test.each([
    [DEFAULT, OVERRIDE, 'override'],
    [DEFAULT, INCLUDE, 'include'],
    [DEFAULT, IGNORE, 'ignore'],
    [OVERRIDE_POLICY, IGNORE, 'override'],
    [INCLUDE_POLICY, IGNORE, 'include'],
    [IGNORE_POLICY, INCLUDE, 'ignore'],
  ])('with the options %s and %s', (overrideOption, vhRateLimits, mode) => {
    expect(decodeRoute({ overrideOption, vhRateLimits }).virtualHostRateLimits).toBe(mode);
  });

  test('is refused with options that nobody knows', () => {
    expect(() => decodeRoute({ overrideOption: unknown(4) })).toThrow('override_option');
    expect(() => decodeRoute({ vhRateLimits: unknown(3) })).toThrow('vh_rate_limits');
  });
});
