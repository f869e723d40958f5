import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import { SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { IdentitySource } from '../../src/identity/source.js';
import { createWorkloadApiClient } from '../../src/identity/workload-api/client.js';
import {
  createWorkloadApiSource,
  type WorkloadApiSource,
  type WorkloadApiSourceOptions,
} from '../../src/identity/workload-api/source.js';
import { spiffeWorkload } from '../../src/proto/xds.js';
import { systemClock } from '../../src/runtime/clock.js';
import { silentLogger } from '../../src/runtime/log.js';
import { createTestCa } from '../../src/testing/test-ca.js';
import { derOf, WorkloadAgent, x509Response } from './support/workload-agent.js';

const ca = await createTestCa({ trustDomain: 'td.test' });
const other = await createTestCa({ trustDomain: 'other.test' });
const signer = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const tools = { clock: systemClock, random: () => 0.5, logger: silentLogger };

let dir = '';
let agent: WorkloadAgent;
let socket = '';
let number = 0;
const closers: (() => unknown)[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'inmesh-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));
beforeEach(async () => {
  socket = `unix://${dir}/agent-${number++}.sock`;
  agent = new WorkloadAgent();
  await agent.start(socket);
});
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  agent.stop();
});

const identities = (...names: string[]) =>
  names.map((name) => ({ svid: ca.svid(name), bundle: ca.bundle, hint: name }));
const follow = (options: Partial<WorkloadApiSourceOptions> = {}): WorkloadApiSource => {
  const source = createWorkloadApiSource({ endpoint: socket, ...tools, ...options });
  closers.push(() => source.close());
  return source;
};
/** Settles when the condition holds after an update. */
const until = (source: IdentitySource, holds: () => boolean) =>
  new Promise<void>((resolve) => {
    const look = () => {
      if (!holds()) return;
      stop();
      resolve();
    };
    const stop = source.onUpdate(look);
    look();
  });

describe('the Workload API as a source of identity', () => {
  test('supplies the first SVID, its roots, and those of federated trust domains', async () => {
    agent.set('FetchX509SVID', x509Response(identities('a', 'b'), [other.bundle]));
    const source = follow();
    await source.ready;
    expect(source.svid()?.id).toEqual(ca.id('a'));
    expect(source.svids().map(({ hint }) => hint)).toEqual(['a', 'b']);
    expect(source.bundle('td.test')?.authorities).toEqual(ca.bundle.authorities);
    expect(source.bundle('other.test')?.authorities).toEqual(other.bundle.authorities);
    expect([...(source.federated?.() ?? [])]).toContain('other.test');
  });

  test('another SVID may be chosen, by hint or by function', async () => {
    agent.set('FetchX509SVID', x509Response(identities('a', 'b')));
    const byHint = follow({ hint: 'b' });
    const byFunction = follow({ pick: (svids) => svids.find(({ svid }) => svid.id.path.endsWith('/b')) });
    await Promise.all([byHint.ready, byFunction.ready]);
    expect(byHint.svid()?.id).toEqual(ca.id('b'));
    expect(byFunction.svid()?.id).toEqual(ca.id('b'));
  });

  test('each message is all there is: a rotated SVID replaces the last one, a bundle that is missing is gone', async () => {
    agent.set('FetchX509SVID', x509Response(identities('a'), [other.bundle]));
    const source = follow();
    await source.ready;
    const first = source.svid()?.leaf.serialNumber;
    agent.set('FetchX509SVID', x509Response(identities('a')));
    await until(source, () => source.svid()?.leaf.serialNumber !== first);
    expect(source.bundle('other.test')).toBeUndefined();
    expect(agent.calls).toEqual(['FetchX509SVID']);
  });

  test('an identity that is withdrawn is not used any more, and used again when it is back', async () => {
    agent.set('FetchX509SVID', x509Response(identities('a')));
    const source = follow();
    await source.ready;
    agent.set('FetchX509SVID', { code: status.PERMISSION_DENIED, details: 'no identity issued' });
    await until(source, () => source.svid() === undefined);
    expect(source.bundle('td.test')).toBeUndefined();
    agent.set('FetchX509SVID', x509Response(identities('a')));
    await until(source, () => source.svid() !== undefined);
  });

  test('outlives its agent, and hears of what changed when that is back', async () => {
    agent.set('FetchX509SVID', x509Response(identities('a')));
    const source = follow();
    await source.ready;
    const first = source.svid()?.leaf.serialNumber;
    agent.stop();
    agent = new WorkloadAgent();
    agent.set('FetchX509SVID', x509Response(identities('a')));
    expect(source.svid()?.leaf.serialNumber).toBe(first);
    await agent.start(socket);
    await until(source, () => source.svid()?.leaf.serialNumber !== first);
  });

  test('a message that does not hold leaves the last one in use', async () => {
    agent.set('FetchX509SVID', x509Response(identities('a')));
    const source = follow();
    await source.ready;
    const serial = source.svid()?.leaf.serialNumber;
    agent.set('FetchX509SVID', x509Response([]));
    agent.set('FetchX509SVID', Buffer.from('garbage'));
    const schema = spiffeWorkload.X509SVIDResponseSchema;
    const [good] = identities('a');
    const lying = create(schema, {
      svids: [
        {
          spiffeId: ca.id('admin').toString(),
          x509Svid: good!.svid.leaf.raw,
          x509SvidKey: good!.svid.privateKey.export({ type: 'pkcs8', format: 'der' }),
          bundle: derOf(ca.bundle),
        },
      ],
    });
    agent.set('FetchX509SVID', toBinary(schema, lying));
    // The messages of a stream come in order: when this one is there, the others were.
    agent.set('FetchX509SVID', x509Response(identities('b')));
    await until(source, () => source.svid()?.id.equals(ca.id('b')) === true);
    expect(serial).toBeDefined();
  });

  test.each([
    ['INVALID_ARGUMENT', status.INVALID_ARGUMENT],
    ['UNIMPLEMENTED', status.UNIMPLEMENTED],
  ])('%s is told at once, and nobody asks again', async (_, code) => {
    agent.set('FetchX509SVID', { code, details: 'no' });
    const source = follow();
    await expect(source.ready).rejects.toMatchObject({ code: 'INMESH_UNSUPPORTED' });
    expect(agent.calls).toEqual(['FetchX509SVID']);
  });

  test('is asked again at once when somebody is in a hurry', async () => {
    agent.stop();
    const source = follow({ random: () => 1 });
    await expect(
      createWorkloadApiClient({ endpoint: socket, ...tools }).fetchJwtSvids('x'),
    ).rejects.toMatchObject({
      code: 'INMESH_IDENTITY_UNAVAILABLE',
    });
    agent = new WorkloadAgent();
    agent.set('FetchX509SVID', x509Response(identities('a')));
    await agent.start(socket);
    await source.renewNow();
    expect(source.svid()?.id).toEqual(ca.id('a'));
  });
});

describe('tokens of the Workload API', () => {
  const mint = (sub: string, audience: readonly string[], lifeS = 300) => {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ sub, aud: [...audience], iat: now, exp: now + lifeS })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .sign(signer.privateKey);
  };
  beforeEach(() => {
    agent.set('FetchX509SVID', x509Response(identities('a')));
    agent.mint = async (audience, id) => [{ id, token: await mint(id, audience) }];
    const schema = spiffeWorkload.JWTBundlesResponseSchema;
    // SPIRE sends keys without `use`.
    const jwks = JSON.stringify({ keys: [{ ...signer.publicKey.export({ format: 'jwk' }), kid: 'k' }] });
    agent.set(
      'FetchJWTBundles',
      toBinary(schema, create(schema, { bundles: { 'spiffe://td.test': Buffer.from(jwks) } })),
    );
  });

  test('are kept for each audience', async () => {
    const source = follow();
    await source.ready;
    const [one, again, forOther] = await Promise.all([
      source.fetchJwtSvid('server'),
      source.fetchJwtSvid(['server']),
      source.fetchJwtSvid('other'),
    ]);
    expect(again.token).toBe(one.token);
    expect(forOther.audience).toEqual(['other']);
    expect(one.id).toEqual(ca.id('a'));
    expect(await source.fetchJwtSvid('server')).toBe(one);
    expect(agent.calls.filter((name) => name === 'FetchJWTSVID')).toHaveLength(2);
  });

  test('are validated by the keys that it sends, or by itself', async () => {
    const source = follow();
    const token = await mint('spiffe://td.test/peer', ['server']);
    const svid = await source.validateJwtSvid(token, { audience: 'server' });
    expect(svid.id.toString()).toBe('spiffe://td.test/peer');
    await expect(source.validateJwtSvid(token, { audience: 'other' })).rejects.toThrow('another audience');
    agent.validate = () => 'spiffe://td.test/peer';
    const client = createWorkloadApiClient({ endpoint: socket, ...tools });
    expect((await client.validateJwtSvid(token, 'server')).id.path).toBe('/peer');
    agent.validate = () => 'spiffe://td.test/somebody-else';
    await expect(client.validateJwtSvid(token, 'server')).rejects.toThrow('somebody-else');
  });

  test('a token of another audience than was asked for is refused', async () => {
    agent.mint = async (_, id) => [{ id, token: await mint(id, ['wrong']) }];
    const source = follow();
    await source.ready;
    await expect(source.fetchJwtSvid('server')).rejects.toMatchObject({ code: 'INMESH_JWT_SVID_INVALID' });
    await expect(source.fetchJwtSvid('')).rejects.toMatchObject({ code: 'INMESH_OPTION_INVALID' });
  });

  test('a workload without an identity may follow the bundles', async () => {
    const schema = spiffeWorkload.X509BundlesResponseSchema;
    agent.set(
      'FetchX509Bundles',
      toBinary(schema, create(schema, { bundles: { 'spiffe://td.test': derOf(ca.bundle) } })),
    );
    const client = createWorkloadApiClient({ endpoint: socket, ...tools });
    const bundles = await new Promise<ReadonlyMap<string, unknown>>((resolve) => {
      const watch = client.watchX509Bundles({ update: resolve });
      closers.push(watch.close);
    });
    expect([...bundles.keys()]).toEqual(['td.test']);
  });
});
