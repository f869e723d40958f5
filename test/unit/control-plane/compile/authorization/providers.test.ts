import { describe, expect, test } from 'vitest';
import { customPrefix } from '../../../../../src/control-plane/compile/authorization/providers.js';
import { compileAuthorization } from '../../../../../src/control-plane/files/authorization-files.js';
import { createMeshConfig, type MeshSettings } from '../../../../../src/control-plane/mesh/mesh-config.js';
import { registryOf, service, viewOf } from '../mesh.js';
import { policy, SUBJECT } from './support.js';

type Providers = NonNullable<MeshSettings['extensionProviders']>;

/** What asks a provider, as Envoy's JSON has it; the rules before it are left out. */
function asking(provider: Providers[number]) {
  const text =
    policy('one', '{action: CUSTOM, provider: {name: opa}, rules: [{}]}') + service('checker', 9000);
  const config = createMeshConfig({ extensionProviders: [provider] });
  const { http, tcp } = compileAuthorization(
    { view: viewOf(text), registry: registryOf([]), config },
    SUBJECT,
  );
  return { http: http.slice(1), tcp: tcp.slice(1) };
}

const SERVICE = { service: 'default/checker.default.svc.cluster.local', port: 9000 };
const CLUSTER = 'outbound|9000||checker.default.svc.cluster.local';
const whenMatched = (filter: string) => ({
  filter,
  path: [{ key: 'istio_ext_authz_shadow_effective_policy_id' }],
  value: { string_match: { prefix: 'istio-ext-authz-opa-' } },
});

describe('a provider over HTTP', () => {
  test('is asked as its settings say', () => {
    const { http, tcp } = asking({
      name: 'opa',
      envoyExtAuthzHttp: {
        ...SERVICE,
        timeout: '2s',
        failOpen: true,
        clearRouteCache: true,
        statusOnError: '503',
        pathPrefix: '/check',
        includeHeadersInCheck: ['x-older'],
        includeRequestHeadersInCheck: ['x-id', 'x-a-*', '*-z'],
        includeAdditionalHeadersInCheck: { 'x-b': '2', 'x-a': '1' },
        includeRequestBodyInCheck: { maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: true },
        headersToUpstreamOnAllow: ['x-user'],
        headersToDownstreamOnDeny: ['set-cookie'],
        headersToDownstreamOnAllow: ['x-*'],
      },
    });
    const patterns = (...all: readonly object[]) => ({
      patterns: all.map((one) => ({ ...one, ignore_case: true })),
    });
    expect(http).toEqual([
      {
        name: 'envoy.filters.http.ext_authz',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz',
          transport_api_version: 'V3',
          failure_mode_allow: true,
          clear_route_cache: true,
          status_on_error: { code: 'ServiceUnavailable' },
          with_request_body: { max_request_bytes: 10, allow_partial_message: true, pack_as_bytes: true },
          filter_enabled_metadata: whenMatched('envoy.filters.http.rbac'),
          allowed_headers: patterns({ exact: 'x-id' }, { prefix: 'x-a-' }, { suffix: '-z' }),
          http_service: {
            server_uri: { uri: 'http://checker.default.svc.cluster.local', cluster: CLUSTER, timeout: '2s' },
            path_prefix: '/check',
            authorization_request: {
              headers_to_add: [
                { key: 'x-a', value: '1' },
                { key: 'x-b', value: '2' },
              ],
            },
            authorization_response: {
              allowed_upstream_headers: patterns({ exact: 'x-user' }),
              allowed_client_headers: patterns({ exact: 'set-cookie' }),
              allowed_client_headers_on_success: patterns({ prefix: 'x-' }),
            },
          },
        },
      },
    ]);
    // It has no say about connections without requests.
    expect(tcp).toEqual([]);
  });

  test('says nothing of what is left out', () => {
    const { http } = asking({ name: 'opa', envoyExtAuthzHttp: SERVICE });
    expect(http).toMatchObject([
      {
        typed_config: {
          status_on_error: { code: 'Forbidden' },
          http_service: {
            server_uri: {
              uri: 'http://checker.default.svc.cluster.local',
              cluster: CLUSTER,
              timeout: '600s',
            },
          },
        },
      },
    ]);
    expect(JSON.stringify(http)).not.toMatch(/allowed|authorization_re|charge|ingestion|body|failure_mode/);
  });
});

test('a provider over gRPC is asked about requests and connections', () => {
  const grpc = {
    envoy_grpc: { cluster_name: CLUSTER, authority: 'outbound_.9000_._.checker.default.svc.cluster.local' },
    timeout: '600s',
  };
  expect(asking({ name: 'opa', envoyExtAuthzGrpc: { ...SERVICE, failOpen: true } })).toEqual({
    http: [
      {
        name: 'envoy.filters.http.ext_authz',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz',
          transport_api_version: 'V3',
          failure_mode_allow: true,
          status_on_error: { code: 'Forbidden' },
          filter_enabled_metadata: whenMatched('envoy.filters.http.rbac'),
          grpc_service: grpc,
        },
      },
    ],
    tcp: [
      {
        name: 'envoy.filters.network.ext_authz',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.network.ext_authz.v3.ExtAuthz',
          stat_prefix: 'tcp.',
          transport_api_version: 'V3',
          failure_mode_allow: true,
          filter_enabled_metadata: whenMatched('envoy.filters.network.rbac'),
          grpc_service: grpc,
        },
      },
    ],
  });
});

test('policies are named after their provider, where they have one', () => {
  expect([customPrefix('opa'), customPrefix('')]).toEqual(['istio-ext-authz-opa-', 'istio-ext-authz-']);
});
