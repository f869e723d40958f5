import { mkdtemp, rm } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { WorkloadAgent, x509Response } from '../support/workload-agent.js';
import { answerOf, istio, World } from './features-world.js';

const ca = await createTestCa({ trustDomain: 'cluster.local' });
const partner = await createTestCa({ trustDomain: 'partner.test' });
const STRICT = istio('PeerAuthentication', 'default', 'mtls: { mode: STRICT }', 'istio-system');

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** An agent for one workload, and its address. */
async function agentFor(name: string, authority = ca, federated = [partner.bundle]) {
  const dir = await mkdtemp(join(tmpdir(), 'inmesh-'));
  const endpoint = `unix://${dir}/agent.sock`;
  const agent = new WorkloadAgent();
  const send = () =>
    agent.set(
      'FetchX509SVID',
      x509Response([{ svid: authority.svid(name), bundle: authority.bundle }], federated),
    );
  send();
  await agent.start(endpoint);
  closers.push(
    () => agent.stop(),
    () => rm(dir, { recursive: true, force: true }),
  );
  return { identity: { kind: 'workloadApi', endpoint } as const, send };
}

/** Answers with the caller's SPIFFE ID. */
const whoami: RequestListener = (incoming, response) => {
  const certificate = String(incoming.headers['x-forwarded-client-cert'] ?? '');
  response.end(/URI=(\S+)$/.exec(certificate)?.[1] ?? 'plaintext');
};

describe('a mesh whose identities come from the SPIFFE Workload API', () => {
  test('has mTLS by them, across trust domains that are federated, and after a rotation', async () => {
    const world = await World.start(STRICT);
    closers.push(() => world.close());
    const echo = await agentFor('echo');
    await world.serve({ service: 'echo', serviceAccount: 'echo', identity: echo.identity }, whoami);
    const [own, foreign] = [await agentFor('client'), await agentFor('shop', partner, [ca.bundle])];
    const client = await world.join({ serviceAccount: 'client', identity: own.identity });
    const shop = await world.join({ service: 'shop', identity: foreign.identity });
    const ask = async (mesh: typeof client) => (await answerOf(mesh.fetch('http://echo/')))[1];
    expect(await ask(client)).toBe('spiffe://cluster.local/ns/default/sa/client');
    expect(await ask(shop)).toBe('spiffe://partner.test/ns/default/sa/shop');

    const before = client.identity.svid()?.leaf.serialNumber;
    const rotated = new Promise<void>((resolve) => client.identity.onUpdate(resolve));
    own.send();
    echo.send();
    await rotated;
    expect(client.identity.svid()?.leaf.serialNumber).not.toBe(before);
    expect(await ask(client)).toBe('spiffe://cluster.local/ns/default/sa/client');
    expect(client.status().identity?.spiffeId).toBe('spiffe://cluster.local/ns/default/sa/client');
  });
});
