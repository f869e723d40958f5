import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { encodeNode } from '../../../src/codec/node.js';
import { CLUSTER, ROUTE_CONFIGURATION } from '../../../src/codec/resource-types.js';
import { type ControlPlane, createControlPlane, createMemorySource } from '../../../src/control-plane.js';
import { discovery, rpc } from '../../../src/proto/xds.js';
import { nodeOf, service } from '../../unit/control-plane/compile/mesh.js';

const REVIEWS = 'outbound|9080||reviews.default.svc.cluster.local';
const RATINGS = 'outbound|9080||ratings.default.svc.cluster.local';
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(text: string) {
  const source = createMemorySource(text);
  const plane = await createControlPlane({
    ports: { xds: 0, secureXds: 0, http: 0 },
    sources: [source],
    debounceMs: { quietMs: 10, maxMs: 100 },
    settleMs: { quietMs: 10, maxMs: 10 },
  });
  closing.push(() => plane.close());
  return { source, plane };
}

type Request = Parameters<typeof create<typeof discovery.DeltaDiscoveryRequestSchema>>[1];

/** A delta stream that does exactly what a test says. */
function connect(plane: ControlPlane) {
  const client = new Client(plane.addresses.xds, credentials.createInsecure());
  const same = (bytes: Buffer) => bytes;
  const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
  const stream = client.makeBidiStreamRequest(path, same, same);
  stream.on('error', () => {});
  const came: discovery.DeltaDiscoveryResponse[] = [];
  const waiting: ((response: discovery.DeltaDiscoveryResponse) => void)[] = [];
  stream.on('data', (bytes: Buffer) => {
    const response = fromBinary(discovery.DeltaDiscoveryResponseSchema, bytes);
    const next = waiting.shift();
    if (next === undefined) came.push(response);
    else next(response);
  });
  closing.push(() => {
    stream.cancel();
    client.close();
  });
  let isFirst = true;
  const send = (request: Request) => {
    const message = create(discovery.DeltaDiscoveryRequestSchema, request);
    if (isFirst) message.node = encodeNode(nodeOf());
    isFirst = false;
    stream.write(Buffer.from(toBinary(discovery.DeltaDiscoveryRequestSchema, message)));
  };
  return {
    send,
    ack: ({ typeUrl, nonce }: discovery.DeltaDiscoveryResponse) => send({ typeUrl, responseNonce: nonce }),
    next: () => {
      const first = came.shift();
      return first === undefined
        ? new Promise<discovery.DeltaDiscoveryResponse>((resolve) => waiting.push(resolve))
        : Promise.resolve(first);
    },
  };
}

const namesOf = ({ resources }: discovery.DeltaDiscoveryResponse) => resources.map(({ name }) => name).sort();

describe('a delta stream', () => {
  test('gets everything of a type that it asks for without names, then what is new and what is gone', async () => {
    const { plane, source } = await start(service('reviews'));
    const client = connect(plane);
    client.send({ typeUrl: CLUSTER.typeUrl });
    const first = await client.next();
    expect(namesOf(first)).toEqual([REVIEWS]);
    const bytes = first.resources[0]?.resource?.value ?? new Uint8Array();
    expect(CLUSTER.decode(bytes).name).toBe(REVIEWS);
    client.ack(first);
    source.set(service('reviews') + service('ratings'));
    const second = await client.next();
    expect(namesOf(second)).toEqual([RATINGS]);
    client.ack(second);
    source.set(service('ratings'));
    expect(await client.next()).toMatchObject({ resources: [], removedResources: [REVIEWS] });
  });

  test('is told at once that a name does not exist, and gets it when it does', async () => {
    const { plane, source } = await start(service('reviews'));
    const client = connect(plane);
    client.send({ typeUrl: ROUTE_CONFIGURATION.typeUrl, resourceNamesSubscribe: [REVIEWS, RATINGS] });
    const first = await client.next();
    expect([namesOf(first), first.removedResources]).toEqual([[REVIEWS], [RATINGS]]);
    client.ack(first);
    source.set(service('reviews') + service('ratings'));
    expect(namesOf(await client.next())).toEqual([RATINGS]);
  });

  test('that comes back with what it has is sent what differs', async () => {
    const { plane, source } = await start(service('reviews'));
    const before = connect(plane);
    before.send({ typeUrl: CLUSTER.typeUrl });
    const [held] = (await before.next()).resources;
    source.set(service('ratings'));
    await before.next();
    const client = connect(plane);
    client.send({
      typeUrl: CLUSTER.typeUrl,
      initialResourceVersions: { [REVIEWS]: held?.version ?? '' },
    });
    expect(await client.next()).toMatchObject({
      resources: [{ name: RATINGS }],
      removedResources: [REVIEWS],
    });
    source.set(service('reviews') + service('ratings'));
    await before.next();
    const again = connect(plane);
    again.send({
      typeUrl: CLUSTER.typeUrl,
      initialResourceVersions: { [REVIEWS]: held?.version ?? '' },
    });
    const after = await again.next();
    expect([namesOf(after), after.removedResources]).toEqual([[RATINGS], []]);
  });

  test('that refuses a resource is not sent it again; the status says what it found wrong', async () => {
    const { plane, source } = await start(service('reviews'));
    const client = connect(plane);
    client.send({ typeUrl: CLUSTER.typeUrl });
    const { nonce } = await client.next();
    const errorDetail = create(rpc.StatusSchema, { code: 13, message: `${REVIEWS}: bad cluster` });
    client.send({ typeUrl: CLUSTER.typeUrl, responseNonce: nonce, errorDetail });
    source.set(service('reviews') + service('ratings'));
    expect(namesOf(await client.next())).toEqual([RATINGS]);
    expect(plane.status().clients[0]?.types).toMatchObject([
      { type: 'CDS', state: 'NACKED', error: `${REVIEWS}: bad cluster` },
    ]);
  });
});
