import { X509Certificate } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeNode } from '../../../src/codec/node.js';
import { LISTENER, ROUTE_CONFIGURATION } from '../../../src/codec/resource-types.js';
import { SECRET_TYPE_URL } from '../../../src/codec/secret.js';
import { type ControlPlane, createControlPlane } from '../../../src/control-plane.js';
import { discovery, listener, tls } from '../../../src/proto/xds.js';
import { nodeOf } from '../../unit/control-plane/compile/mesh.js';

const identity = (bytes: Buffer) => bytes;
let plane: ControlPlane;

beforeAll(async () => {
  plane = await createControlPlane({ ports: { xds: 0, secureXds: 0, http: 0 } });
});
afterAll(() => plane.close());

/** The first answer to an Envoy that asks for a type. */
async function ask(
  typeUrl: string,
  names: readonly string[],
  serviceAccount: string,
): Promise<readonly Uint8Array[]> {
  const client = new Client(plane.addresses.xds, credentials.createInsecure());
  const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';
  const stream = client.makeBidiStreamRequest<Buffer, Buffer>(path, identity, identity);
  stream.on('error', () => {});
  const node = encodeNode({
    ...nodeOf({ GENERATOR: '', SERVICE_ACCOUNT: serviceAccount }),
    userAgent: 'envoy',
  });
  const request = create(discovery.DiscoveryRequestSchema, { node, typeUrl, resourceNames: [...names] });
  stream.write(Buffer.from(toBinary(discovery.DiscoveryRequestSchema, request)));
  try {
    const bytes = await new Promise<Buffer>((resolve) => stream.once('data', resolve));
    return fromBinary(discovery.DiscoveryResponseSchema, bytes).resources.map(({ value }) => value);
  } finally {
    stream.cancel();
    client.close();
  }
}

async function secretsFor(serviceAccount: string): Promise<ReadonlyMap<string, tls.Secret>> {
  const found = await ask(SECRET_TYPE_URL, ['default', 'ROOTCA'], serviceAccount);
  return new Map(
    found.map((bytes) => {
      const secret = fromBinary(tls.SecretSchema, bytes);
      return [secret.name, secret];
    }),
  );
}

const certificateOf = (secret: tls.Secret | undefined) =>
  secret?.type.case === 'tlsCertificate' ? secret.type.value.certificateChain?.specifier.value : undefined;

test('an Envoy gets the certificate of its identity and the roots by SDS, in the first answer', async () => {
  const secrets = await secretsFor('reviews');
  expect([...secrets.keys()].sort()).toEqual(['ROOTCA', 'default']);
  const leaf = new X509Certificate(Buffer.from(certificateOf(secrets.get('default')) as Uint8Array));
  expect(leaf.subjectAltName).toBe('URI:spiffe://cluster.local/ns/default/sa/reviews');
  const other = await secretsFor('ratings');
  expect(certificateOf(other.get('default'))).not.toEqual(certificateOf(secrets.get('default')));
});

test('an Envoy is known by its name, and gets listeners on sockets with the tables that they name', async () => {
  const listeners = await ask(LISTENER.typeUrl, [], 'reviews');
  const names = listeners.map((bytes) => fromBinary(listener.ListenerSchema, bytes).name);
  expect(names.sort()).toEqual(['127.0.0.1_15001', 'virtualInbound']);
  const [tableBytes = new Uint8Array()] = await ask(ROUTE_CONFIGURATION.typeUrl, ['http_proxy'], 'reviews');
  expect(ROUTE_CONFIGURATION.decode(tableBytes).name).toBe('http_proxy');
});
