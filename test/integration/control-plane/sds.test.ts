import { X509Certificate } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeNode } from '../../../src/codec/node.js';
import { SECRET_TYPE_URL } from '../../../src/codec/secret.js';
import { type ControlPlane, createControlPlane } from '../../../src/control-plane.js';
import { discovery, tls } from '../../../src/proto/xds.js';
import { nodeOf } from '../../unit/control-plane/compile/mesh.js';

const identity = (bytes: Buffer) => bytes;
let plane: ControlPlane;

beforeAll(async () => {
  plane = await createControlPlane({ ports: { xds: 0, secureXds: 0, http: 0 } });
});
afterAll(() => plane.close());

/** Asks as Envoy does, for both secrets by name. */
async function secretsFor(serviceAccount: string): Promise<ReadonlyMap<string, tls.Secret>> {
  const client = new Client(plane.addresses.xds, credentials.createInsecure());
  const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';
  const stream = client.makeBidiStreamRequest<Buffer, Buffer>(path, identity, identity);
  stream.on('error', () => {});
  const node = encodeNode(nodeOf({ GENERATOR: 'envoy', SERVICE_ACCOUNT: serviceAccount }));
  const request = create(discovery.DiscoveryRequestSchema, {
    node,
    typeUrl: SECRET_TYPE_URL,
    resourceNames: ['default', 'ROOTCA'],
  });
  stream.write(Buffer.from(toBinary(discovery.DiscoveryRequestSchema, request)));
  try {
    const bytes = await new Promise<Buffer>((resolve) => stream.once('data', resolve));
    const { resources } = fromBinary(discovery.DiscoveryResponseSchema, bytes);
    return new Map(
      resources.map(({ value }) => {
        const secret = fromBinary(tls.SecretSchema, value);
        return [secret.name, secret];
      }),
    );
  } finally {
    stream.cancel();
    client.close();
  }
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
