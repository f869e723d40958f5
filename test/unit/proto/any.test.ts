import { create, toJson } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { packAny, schemaOf, typeUrlOf, unpackAny, unpackAnyMessage } from '../../../src/proto/any.js';
import { registry } from '../../../src/proto/registry.js';
import { cluster, core, discovery, packages, tls, wkt } from '../../../src/proto/xds.js';

const reviews = () =>
  create(cluster.ClusterSchema, { name: 'reviews', lbPolicy: cluster.Cluster_LbPolicy.RANDOM });

test('a packed message comes back as it was', () => {
  const any = packAny(cluster.ClusterSchema, reviews());
  expect(any.typeUrl).toBe('type.googleapis.com/envoy.config.cluster.v3.Cluster');
  expect(unpackAny(cluster.ClusterSchema, any)).toEqual(reviews());
  expect(unpackAnyMessage(any)).toEqual(reviews());
});

test('unpacking as another type gives undefined', () => {
  expect(unpackAny(core.NodeSchema, packAny(cluster.ClusterSchema, reviews()))).toBeUndefined();
});

test('undecodable bytes throw', () => {
  const any = create(wkt.AnySchema, {
    typeUrl: typeUrlOf(core.NodeSchema),
    value: Uint8Array.of(0x0a, 0x05, 0x41),
  });
  expect(() => unpackAny(core.NodeSchema, any)).toThrow();
});

test.each([
  'type.googleapis.com/nobody.knows.V1',
  'envoy.config.cluster.v3.Nope',
  '',
  'constructor.Object',
  '/',
])('an unknown type %j has no schema', (typeUrl) => {
  expect(schemaOf(typeUrl)).toBeUndefined();
});

test('every generated message is found under its type URL', () => {
  const names = [...registry()].filter((type) => type.kind === 'message').map((type) => type.typeName);
  const missing = names.filter((name) => schemaOf(`type.googleapis.com/${name}`)?.typeName !== name);
  expect(missing).toEqual([]);
  expect(names.length).toBeGreaterThan(600);
  expect(Object.keys(packages)).toContain('istio.v1.auth');
});

test('the registry lets JSON look inside an Any', () => {
  const any = packAny(wkt.DurationSchema, create(wkt.DurationSchema, { seconds: 3n }));
  expect(toJson(wkt.AnySchema, any, { registry: registry() })).toEqual({
    '@type': 'type.googleapis.com/google.protobuf.Duration',
    value: '3s',
  });
});

test('fields younger than the shipped files are there', () => {
  const error = { resourceName: { name: 'a' }, errorDetail: { code: 5 } };
  expect(create(discovery.DiscoveryResponseSchema, { resourceErrors: [error] }).resourceErrors).toHaveLength(
    1,
  );
  expect(create(tls.UpstreamTlsContextSchema, { autoHostSni: true }).autoHostSni).toBe(true);
});
