import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { decodeExtAuthz, decodeExtAuthzRoute } from '../../../src/codec/ext-authz.js';
import { rootPath } from '../../../src/codec/path.js';
import { clustersOfFilter } from '../../../src/model/filter-clusters.js';
import { core, httpExtAuthz as filter } from '../../../src/proto/xds.js';
import { GRPC, HTTP, named } from '../filters/ext-authz-fixtures.js';

type Init = Exclude<MessageInitShape<typeof filter.ExtAuthzSchema>, filter.ExtAuthz>;

const URI = {
  uri: 'http://authz.example',
  httpUpstreamType: { case: 'cluster', value: 'authz' },
  timeout: { nanos: 200_000_000 },
} as const;
type Services = NonNullable<Init['services']>;
type HttpInit = Exclude<MessageInitShape<typeof filter.HttpServiceSchema>, filter.HttpService>;
type GrpcInit = Exclude<MessageInitShape<typeof core.GrpcServiceSchema>, core.GrpcService>;
const http = (value: HttpInit = {}): Services => ({
  case: 'httpService',
  value: create(filter.HttpServiceSchema, { serverUri: URI, ...value }),
});
const grpc = (value: GrpcInit = {}): Services => ({
  case: 'grpcService',
  value: create(core.GrpcServiceSchema, {
    targetSpecifier: { case: 'envoyGrpc', value: { clusterName: 'authz' } },
    ...value,
  }),
});
const { V3, AUTO } = core.ApiVersion;
const decode = (init: Init) => decodeExtAuthz(create(filter.ExtAuthzSchema, init), rootPath('LDS l'));
const decodeRoute = (override: filter.ExtAuthzPerRoute['override']) =>
  decodeExtAuthzRoute(create(filter.ExtAuthzPerRouteSchema, { override }), rootPath('RDS r'));
const list = (...names: string[]) => ({
  patterns: names.map((value) => ({ matchPattern: { case: 'exact', value } }) as const),
});
/** A number that no enum has, as the wire may bring it. */
const unknown = (value: number) => value as never;

describe('the external authorization filter', () => {
  test('has Envoy’s defaults', () => {
    expect(decode({ services: http() })).toEqual(HTTP);
    expect(decode({ services: grpc(), transportApiVersion: V3 })).toEqual(GRPC);
  });

  test('names the cluster that it asks', () => {
    expect(clustersOfFilter(decode({ services: http() }))).toEqual(['authz']);
    expect(clustersOfFilter(decode({ services: grpc(), transportApiVersion: V3 }))).toEqual(['authz']);
  });

  test('takes the older list of allowed headers, too', () => {
    const services = http({ authorizationRequest: { allowedHeaders: list('x-a') } });
    expect(decode({ services }).allowedHeaders).toEqual([named('x-a')]);
  });

  test('takes a status that no answer can have for not set', () => {
    expect(decode({ services: http(), statusOnError: { code: 100 } }).statusOnError).toBe(403);
    expect(decode({ services: http(), statusOnError: { code: 503 } }).statusOnError).toBe(503);
  });

  test.each<[Init, string]>([
    [{}, 'grpc_service or http_service'],
    [{ services: grpc() }, 'transport_api_version'],
    [{ services: grpc(), transportApiVersion: AUTO }, 'transport_api_version'],
    [
      {
        services: grpc({ targetSpecifier: { case: 'googleGrpc', value: { targetUri: 'a' } } }),
        transportApiVersion: V3,
      },
      'google_grpc',
    ],
    [{ services: http(), statusOnError: { code: unknown(600) } }, 'status_on_error'],
    [{ services: http(), withRequestBody: {} }, 'with_request_body.max_request_bytes'],
    [{ services: http(), filterEnabled: {} }, 'filter_enabled.default_value'],
    [{ services: http(), denyAtDisable: {} }, 'deny_at_disable.default_value'],
    [{ services: http(), bootstrapMetadataLabelsKey: 'a' }, 'bootstrap_metadata_labels_key'],
    [{ services: http({ pathPrefix: 'check' }) }, 'http_service.path_prefix'],
    [{ services: http({ pathPrefix: '/a b' }) }, 'http_service.path_prefix'],
    [{ services: { case: 'httpService', value: create(filter.HttpServiceSchema) } }, 'server_uri'],
    [
      {
        services: http({ authorizationRequest: { headersToAdd: [{ key: 'x-a', value: '%NOPE%' }] } }),
      },
      'authorization_request.headers_to_add[0]',
    ],
    [
      {
        services: http({ authorizationRequest: { allowedHeaders: list('x-a') } }),
        allowedHeaders: list('x-b'),
      },
      'allowed_headers',
    ],
    [{ services: http(), disallowedHeaders: { patterns: [{}] } }, 'disallowed_headers.patterns[0]'],
    [
      { services: http(), decoderHeaderMutationRules: { allowExpression: { regex: '(' } } },
      'decoder_header_mutation_rules.allow_expression',
    ],
  ])('is refused, %#', (init, field) => {
    expect(() => decode(init)).toThrow(field);
  });
});

describe('the external authorization of a route', () => {
  test('is off, or has settings', () => {
    expect(decodeRoute({ case: 'disabled', value: true }).settings).toBeUndefined();
    const value = create(filter.CheckSettingsSchema, { contextExtensions: { a: 'b' } });
    expect(decodeRoute({ case: 'checkSettings', value }).settings).toEqual({
      contextExtensions: new Map([['a', 'b']]),
      disableBody: false,
      body: undefined,
    });
  });

  test('is refused when it says nothing, or both', () => {
    expect(() => decodeRoute({ case: undefined })).toThrow('disabled or check_settings');
    expect(() => decodeRoute({ case: 'disabled', value: false })).toThrow('disabled');
    const value = create(filter.CheckSettingsSchema, {
      disableRequestBodyBuffering: true,
      withRequestBody: { maxRequestBytes: 1 },
    });
    expect(() => decodeRoute({ case: 'checkSettings', value })).toThrow('with_request_body');
  });
});
