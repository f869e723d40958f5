import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type ControlPlane,
  type ControlPlaneOptions,
  createControlPlane,
} from '../../../src/control-plane.js';
import { createCaSource } from '../../../src/identity/ca-source.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { systemRandom } from '../../../src/runtime/random.js';
import { nodeOf } from '../../unit/control-plane/compile/mesh.js';
import { AdsClient } from './ads-client.js';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const plane = await createControlPlane({ ports: { xds: 0, secureXds: 0, http: 0 }, ...options });
  closing.push(() => plane.close());
  return plane;
}

/** A certificate for a service account, from the plaintext port. */
async function joinMesh(plane: ControlPlane, serviceAccount: string) {
  const source = createCaSource({
    target: plane.addresses.xds,
    identity: { namespace: 'default', serviceAccount },
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
  });
  closing.push(() => source.close());
  await source.ready;
  const svid = source.svid();
  const roots = source.bundle(plane.trustDomain)?.authorities ?? [];
  if (svid === undefined) throw new Error('no certificate came');
  return { svid, rootsPem: roots.map((root) => root.toString()).join('\n') };
}

type Joined = Awaited<ReturnType<typeof joinMesh>>;

function connect(plane: ControlPlane, { svid, rootsPem }: Joined, withCertificate: boolean): AdsClient {
  const key = Buffer.from(svid.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const chain = Buffer.from(svid.certificatesPem.join('\n'));
  const channel = withCertificate
    ? credentials.createSsl(Buffer.from(rootsPem), key, chain)
    : credentials.createSsl(Buffer.from(rootsPem));
  const client = new AdsClient(plane.addresses.secureXds, channel);
  closing.push(() => client.close());
  return client;
}

describe('the authority', () => {
  test('certifies what a process of this machine says it is', async () => {
    const plane = await start({ trustDomain: 'shop.test', workloadCertificateLifeMs: 60_000 });
    const { svid } = await joinMesh(plane, 'reviews');
    expect(svid.id.toString()).toBe('spiffe://shop.test/ns/default/sa/reviews');
    expect(svid.notAfterMs - systemClock.wallTime()).toBeLessThanOrEqual(60_000);
  });

  test('keeps its root across a restart when it has a folder', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'inmesh-plane-'));
    closing.push(() => rm(dataDir, { recursive: true }));
    const first = await start({ dataDir });
    const before = await joinMesh(first, 'reviews');
    await first.close();
    const after = await joinMesh(await start({ dataDir }), 'reviews');
    expect(after.rootsPem).toBe(before.rootsPem);
  });
});

describe('the TLS port', () => {
  test('serves a client that proves who it is, and knows it', async () => {
    const plane = await start();
    const client = connect(plane, await joinMesh(plane, 'reviews'), true);
    client.send({ type: 'CDS', node: nodeOf({ SERVICE_ACCOUNT: 'reviews' }) });
    expect((await client.next()).type).toBe('CDS');
    expect(plane.status().clients[0]?.spiffeId).toBe('spiffe://cluster.local/ns/default/sa/reviews');
  });

  test('ends the stream of a client that claims to be another', async () => {
    const plane = await start();
    const client = connect(plane, await joinMesh(plane, 'reviews'), true);
    client.send({ type: 'CDS', node: nodeOf({ SERVICE_ACCOUNT: 'ratings' }) });
    expect(await client.ended()).toBe(7);
  });

  test('ends the connection when the certificate of the client expires', async () => {
    const plane = await start({ workloadCertificateLifeMs: 3_000 });
    const client = connect(plane, await joinMesh(plane, 'reviews'), true);
    client.send({ type: 'CDS', node: nodeOf({ SERVICE_ACCOUNT: 'reviews' }) });
    expect((await client.next()).type).toBe('CDS');
    expect(await client.ended()).toBe(14);
  });

  test('ends the live stream of an identity that is taken back, and of nobody else', async () => {
    const plane = await start();
    const lost = connect(plane, await joinMesh(plane, 'reviews'), true);
    const kept = connect(plane, await joinMesh(plane, 'ratings'), true);
    lost.send({ type: 'CDS', node: nodeOf({ SERVICE_ACCOUNT: 'reviews' }) });
    kept.send({
      type: 'CDS',
      node: {
        ...nodeOf({ SERVICE_ACCOUNT: 'ratings' }),
        id: 'sidecar~127.0.0.1~ratings.default~default.svc.cluster.local',
      },
    });
    await Promise.all([lost.next(), kept.next()]);
    await plane.certificateAuthority.revocation.revoke({
      kind: 'ids',
      value: 'spiffe://cluster.local/ns/default/sa/reviews',
    });
    expect(await lost.ended()).toBe(14);
    kept.send({ type: 'LDS' });
    expect((await kept.next()).type).toBe('LDS');
  });

  test('serves a client without a certificate yet', async () => {
    const plane = await start();
    const client = connect(plane, await joinMesh(plane, 'reviews'), false);
    client.send({ type: 'CDS', node: nodeOf() });
    expect((await client.next()).type).toBe('CDS');
  });

  test('does not let a certificate of another authority in', async () => {
    const [plane, other] = [await start(), await start()];
    const own = await joinMesh(plane, 'reviews');
    const foreign = await joinMesh(other, 'reviews');
    const client = connect(plane, { ...foreign, rootsPem: own.rootsPem }, true);
    client.send({ type: 'CDS', node: nodeOf({ SERVICE_ACCOUNT: 'reviews' }) });
    expect(await client.ended()).toBe(14);
  });
});
