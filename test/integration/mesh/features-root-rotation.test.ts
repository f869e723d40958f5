import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createCertificateAuthority, createDirectoryCaStore } from '../../../src/control-plane.js';
import { bareClient, credentialsOf, outcomeOf, serveGrpc } from '../grpc/server-support.js';
import { answerOf, service, World } from './features-world.js';
import { eventually, startLoad } from './support.js';

let world: World;
let folder: string | undefined;

afterEach(async () => {
  await world.close();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  folder = undefined;
});

const STRICT = `---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec:
  mtls: { mode: STRICT }
`;

const QUICK = { settleMs: 0, renewWithinMs: 500 };

describe('the root of the mesh', () => {
  test('is replaced under load without a failed request, and the old one is out afterwards', async () => {
    world = await World.start(STRICT + service('echo'), { certificateAuthority: QUICK });
    await world.serve({ service: 'echo' }, (_, response) => response.end('ok'));
    const client = await world.join();
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([200, 'ok']);
    const authority = world.plane.certificateAuthority;
    const old = authority.rootPem();
    const load = startLoad(client, 'http://echo/', 50);
    await authority.rotation.begin();
    await eventually('the old root is retired', () => authority.status().distrusted.length === 1, 30_000);
    const { sent, failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(sent).toBeGreaterThan(50);
    expect(authority.bundle().authorities).toEqual([authority.rootPem()]);
    expect(authority.rootPem()).not.toBe(old);
  });

  test('does not change while a client has not heard of the new one', async () => {
    world = await World.start(service('echo'), { certificateAuthority: QUICK });
    await world.join();
    const { certificateAuthority: authority } = world.plane;
    await eventually('the client is counted', async () => {
      await authority.rotation.abandon().catch(() => {});
      await authority.rotation.begin({ waits: true });
      return true;
    });
    // Nothing was pushed yet: the step is refused until the acknowledgement is there.
    await eventually('the client knows both roots', async () => {
      try {
        await authority.rotation.activate();
        return true;
      } catch {
        return false;
      }
    });
    expect(authority.status().roots.map(({ phase }) => phase)).toEqual(['retiring', 'active']);
  });

  test('is rotated by another process that has the folder', async () => {
    folder = mkdtempSync(join(tmpdir(), 'inmesh-ca-'));
    world = await World.start(service('echo'), { certificateAuthority: QUICK, dataDir: folder });
    await world.join();
    const { certificateAuthority: running } = world.plane;
    const outside = await createCertificateAuthority({
      trustDomain: 'cluster.local',
      store: createDirectoryCaStore(folder),
    });
    expect(outside.rootPem()).toBe(running.rootPem());
    await outside.rotation.begin();
    await eventually('the running control plane went on', () => running.status().roots.length === 2);
    await eventually('it is over', () => running.status().distrusted.length === 1, 30_000);
  });
});

describe('revocation', () => {
  test('shuts an identity out within seconds, on connections that stand, too', async () => {
    world = await World.start(STRICT + service('echo'), { certificateAuthority: QUICK });
    await world.serve({ service: 'echo' }, (_, response) => response.end('ok'));
    const good = await world.join({ service: 'good', serviceAccount: 'good' });
    const bad = await world.join({ service: 'bad', serviceAccount: 'bad' });
    expect(await answerOf(bad.fetch('http://echo/'))).toEqual([200, 'ok']);
    const value = 'spiffe://cluster.local/ns/default/sa/bad';
    await world.plane.certificateAuthority.revocation.revoke({ kind: 'ids', value, reason: 'stolen' });
    const outcome = async () => {
      try {
        return (await bad.fetch('http://echo/')).status;
      } catch {
        return 0;
      }
    };
    await eventually('it is refused', async () => (await outcome()) !== 200, 10_000);
    expect(await answerOf(good.fetch('http://echo/'))).toEqual([200, 'ok']);
  });

  test('ends calls and connections of gRPC, too', async () => {
    world = await World.start(STRICT, { certificateAuthority: QUICK });
    const { port } = await serveGrpc(world);
    const good = bareClient(world, port, credentialsOf(await world.join({ serviceAccount: 'good' })));
    const bad = bareClient(world, port, credentialsOf(await world.join({ serviceAccount: 'bad' })));
    const call = bad.fullDuplexCall();
    call.on('error', () => {});
    const ended = new Promise<number>((resolve) => call.on('status', ({ code }) => resolve(code)));
    const answer = new Promise((resolve) => call.once('data', resolve));
    call.write({ responseParameters: [{ size: 1 }] });
    await answer;
    expect((await outcomeOf(good))[0]).toBe('OK');
    const value = 'spiffe://cluster.local/ns/default/sa/bad';
    await world.plane.certificateAuthority.revocation.revoke({ kind: 'ids', value });
    await eventually(
      'new calls are refused',
      async () => (await outcomeOf(bad))[0] === 'UNAVAILABLE',
      10_000,
    );
    // What runs has some seconds.
    expect(await ended).not.toBe(0);
    expect((await outcomeOf(good))[0]).toBe('OK');
  });
});
