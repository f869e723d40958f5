import type { JsonValue } from '@bufbuild/protobuf';
import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { decodeNode } from '../../../src/codec/node.js';
import { CLUSTER_LOAD_ASSIGNMENT } from '../../../src/codec/resource-types.js';
import { core } from '../../../src/proto/xds.js';
import { withinCpuMs } from '../../vectors/cpu-time.js';
import { decoded, endpointAt, refusal, refusalOfBytes, wire } from './wire.js';

const at = (...lbEndpoints: JsonValue[]): JsonValue => ({ clusterName: 'c', endpoints: [{ lbEndpoints }] });
const localities = (...endpoints: JsonValue[]): JsonValue => ({ clusterName: 'c', endpoints });

describe('endpoints', () => {
  test('have the defaults of Envoy', () => {
    expect(decoded(CLUSTER_LOAD_ASSIGNMENT, at(endpointAt('10.0.0.1')))).toEqual({
      clusterName: 'c',
      overprovisioningFactor: 140,
      weightedPriorityHealth: false,
      localities: [
        {
          locality: { region: '', zone: '', subZone: '' },
          priority: 0,
          weight: undefined,
          metadata: {},
          endpoints: [
            {
              address: { address: '10.0.0.1', port: 80 },
              hostname: '',
              health: 'unknown',
              weight: 1,
              transportSocketMatch: {},
              metadata: {},
            },
          ],
        },
      ],
    });
  });

  test('keep all metadata, and the labels of transport sockets that are strings', () => {
    const filterMetadata = {
      'envoy.lb': { version: 'v1', canary: true },
      'envoy.transport_socket_match': { tlsMode: 'istio' },
      istio: { workload: 'w' },
    };
    const json = at(
      endpointAt('10.0.0.1', { metadata: { filterMetadata } }),
      endpointAt('10.0.0.2', { metadata: { filterMetadata } }),
    );
    const [first, second] = decoded(CLUSTER_LOAD_ASSIGNMENT, json).localities[0]?.endpoints ?? [];
    expect(first).toMatchObject({
      metadata: { 'envoy.lb': { version: 'v1', canary: true }, istio: { workload: 'w' } },
      transportSocketMatch: { tlsMode: 'istio' },
    });
    // Equal metadata is decoded once and shared.
    expect(second?.metadata).toBe(first?.metadata);
  });

  test('decode alike whether they are read from the wire or by the generated code', () => {
    const explicitTcp = {
      endpoint: {
        address: { socketAddress: { protocol: 'TCP', address: '10.0.0.1', portValue: 80 } },
        hostname: 'ü',
      },
      loadBalancingWeight: 3,
      healthStatus: 'DRAINING',
    };
    const bytes = wire(CLUSTER_LOAD_ASSIGNMENT, at(explicitTcp));
    // An unknown field makes the endpoint other than plain: 0x98 0x06 0x01 is field 99 as a varint.
    const generated = withUnknownField(bytes);
    expect(CLUSTER_LOAD_ASSIGNMENT.decode(generated)).toEqual(CLUSTER_LOAD_ASSIGNMENT.decode(bytes));
  });

  test.each<[string, JsonValue, string]>([
    [
      'a host name',
      at(endpointAt('example.com')),
      '.lb_endpoints[0].endpoint.address.socket_address.address: "example.com" is no IP',
    ],
    [
      'no address',
      at({ endpoint: { address: { socketAddress: { portValue: 1 } } } }),
      '.socket_address.address: must not be empty',
    ],
    [
      'no port',
      at({ endpoint: { address: { socketAddress: { address: '::1' } } } }),
      '.socket_address.port_value: is required',
    ],
    [
      'a port above 65535',
      at({ endpoint: { address: { socketAddress: { address: '::1', portValue: 65536 } } } }),
      '.port_value: must be at most 65535',
    ],
    ['no endpoint', at({}), '.lb_endpoints[0].endpoint: is required'],
    ['a named endpoint', at({ endpointName: 'x' }), '.lb_endpoints[0].endpoint_name: is not supported'],
    [
      'further addresses that are none',
      at({
        endpoint: {
          address: { socketAddress: { address: '::1', portValue: 80 } },
          additionalAddresses: [{}],
        },
      }),
      '.endpoint.additional_addresses[0].address.socket_address: is required',
    ],
    [
      'a weight of 0',
      at(endpointAt('::1', { loadBalancingWeight: 0 })),
      '.lb_endpoints[0].load_balancing_weight: must be at least 1',
    ],
    [
      'an unknown health',
      at(endpointAt('::1', { healthStatus: 99 })),
      '.lb_endpoints[0].health_status: has no value 99',
    ],
    [
      'weights beyond 32 bits',
      at(endpointAt('::1', { loadBalancingWeight: 4294967295 }), endpointAt('::2')),
      '.lb_endpoints: the sum of the weights must be below 2^32',
    ],
    [
      'an address that stands twice',
      at(endpointAt('::1'), endpointAt('::1')),
      '.lb_endpoints[1]: the address ::1 port 80 stands twice',
    ],
    [
      'a locality weight of 0',
      localities({ loadBalancingWeight: 0 }),
      'endpoints[0].load_balancing_weight: must be at least 1',
    ],
    ['a priority above 128', localities({ priority: 129 }), 'endpoints[0].priority: must be at most 128'],
    [
      'a gap in the priorities',
      localities({ priority: 0 }, { priority: 2 }),
      'endpoints: priority 1 is left out',
    ],
    [
      'a locality that stands twice',
      localities({ locality: { zone: 'a' } }, { locality: { zone: 'a' } }),
      'endpoints[1].locality: ["","a",""] stands twice in priority 0',
    ],
    [
      'locality weights beyond 32 bits',
      localities({ loadBalancingWeight: 4294967295 }, { locality: { zone: 'a' }, loadBalancingWeight: 1 }),
      'must add up to less than 2^32',
    ],
    [
      'LEDS',
      localities({ ledsClusterLocalityConfig: {} }),
      'endpoints[0].leds_cluster_locality_config: is not supported',
    ],
    [
      'an overprovisioning factor of 0',
      { clusterName: 'c', policy: { overprovisioningFactor: 0 } },
      'policy.overprovisioning_factor: must be greater than 0',
    ],
    ['no name', {}, 'the name must not be empty'],
  ])('are refused for %s', (_what, json, message) => {
    expect(refusal(CLUSTER_LOAD_ASSIGNMENT, json)).toContain(message);
  });

  test('ten thousand are decoded in linear time', async () => {
    const address = (index: number): string => `10.0.${index >> 8}.${index & 255}`;
    const bytes = wire(
      CLUSTER_LOAD_ASSIGNMENT,
      at(...Array.from({ length: 10_000 }, (_, index) => endpointAt(address(index)))),
    );
    // 20 to 90 ms were measured; comparing every address with every other one would take seconds.
    const { resource } = await withinCpuMs(1000, () => CLUSTER_LOAD_ASSIGNMENT.decode(bytes));
    expect(resource.localities[0]?.endpoints).toHaveLength(10_000);
  });

  test('the same locality may stand in two priorities', () => {
    expect(
      decoded(CLUSTER_LOAD_ASSIGNMENT, localities({ priority: 0 }, { priority: 1 })).localities,
    ).toHaveLength(2);
  });

  test('bytes that end too early are refused', () => {
    const bytes = wire(CLUSTER_LOAD_ASSIGNMENT, at(endpointAt('10.0.0.1')));
    expect(refusalOfBytes(CLUSTER_LOAD_ASSIGNMENT, bytes.subarray(0, bytes.length - 1))).toContain(
      'is no valid',
    );
  });
});

/** Adds field 99 to the one endpoint of an assignment for the cluster `c`, and mends the three lengths around it. */
function withUnknownField(bytes: Uint8Array): Uint8Array {
  const out = [...bytes, 0x98, 0x06, 0x01];
  // 0a 01 'c' | 12 <locality> | 12 <endpoint> ...
  out[4] = (out[4] ?? 0) + 3;
  out[6] = (out[6] ?? 0) + 3;
  return new Uint8Array(out);
}

describe('a node', () => {
  const nodeOf = (metadata: Record<string, JsonValue>): core.Node =>
    create(core.NodeSchema, { id: 'n', metadata });

  test('of another client has empty metadata', () => {
    expect(decodeNode(create(core.NodeSchema, { id: 'n' }))).toEqual({
      id: 'n',
      cluster: '',
      locality: { region: '', zone: '', subZone: '' },
      metadata: { NAMESPACE: '', SERVICE_ACCOUNT: '', LABELS: {}, INSTANCE_IPS: '', GENERATOR: '' },
    });
    expect(toBinary(core.NodeSchema, nodeOf({})).length).toBeGreaterThan(0);
  });

  const workload = { service: 's', address: '10.0.0.1', port: 80, tlsMode: 'istio' };
  test.each<[Record<string, JsonValue>, string]>([
    [{ NAMESPACE: 1 }, 'metadata.NAMESPACE: must be a string'],
    [{ LABELS: 'x' }, 'metadata.LABELS: must be an object'],
    [{ LABELS: { a: true } }, 'metadata.LABELS.a: must be a string'],
    [{ INMESH_WORKLOADS: {} }, 'metadata.INMESH_WORKLOADS: must be a list'],
    [{ INMESH_PLAINTEXT: {} }, 'metadata.INMESH_PLAINTEXT: must be a list of at most 1000'],
    [{ INMESH_PLAINTEXT: ['x'] }, 'INMESH_PLAINTEXT[0]: must be an object'],
    [{ INMESH_PLAINTEXT: [{ source: 'x' }] }, 'INMESH_PLAINTEXT[0].source: must be an IP address'],
    [{ INMESH_PLAINTEXT: [{ port: 65_536 }] }, 'INMESH_PLAINTEXT[0].port: must be a port number'],
    [{ INMESH_PLAINTEXT: [{ refused: -1 }] }, 'INMESH_PLAINTEXT[0].refused: must be a whole number'],
    [{ INMESH_WORKLOADS: ['x'] }, 'metadata.INMESH_WORKLOADS[0]: must be an object'],
    [{ INMESH_WORKLOADS: [{ ...workload, service: '' }] }, 'INMESH_WORKLOADS[0].service: must not be empty'],
    [{ INMESH_WORKLOADS: [{ ...workload, address: '' }] }, 'INMESH_WORKLOADS[0].address: must not be empty'],
    [{ INMESH_WORKLOADS: [{ ...workload, port: 0 }] }, 'INMESH_WORKLOADS[0].port: must be a port number'],
    [{ INMESH_WORKLOADS: [{ ...workload, port: 1.5 }] }, 'INMESH_WORKLOADS[0].port: must be a port number'],
    [
      { INMESH_WORKLOADS: [{ ...workload, tlsMode: 'x' }] },
      'INMESH_WORKLOADS[0].tlsMode: must be istio or disabled',
    ],
  ])('with %j is refused', (metadata, message) => {
    expect(() => decodeNode(nodeOf(metadata))).toThrow(message);
  });
});
