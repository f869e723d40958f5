import { afterEach, describe, expect, test } from 'vitest';
import { createControlPlane } from '../../../src/control-plane.js';
import { silentLogger } from '../../../src/runtime/log.js';
import {
  ControlPlaneProcess,
  eventually,
  joinQuietly,
  type LoadResult,
  type Member,
  serveAs,
  startLoad,
  TemporaryFolder,
  wait,
} from './support.js';

const closers: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function expectNoFailure(result: LoadResult, atLeast: number): void {
  expect(result.failures.slice(0, 5)).toEqual([]);
  expect(result.sent).toBeGreaterThan(atLeast);
}

/** Two versions of one service and a client. */
async function startMembers(
  controlPlane: string,
): Promise<{ members: Member[]; client: Awaited<ReturnType<typeof joinQuietly>> }> {
  const members: Member[] = [];
  for (const version of ['v1', 'v2']) {
    const member = await serveAs({ service: 'echo', version, controlPlane }, (_request, response) =>
      response.end(version),
    );
    closers.push(() => member.mesh.close());
    members.push(member);
  }
  const client = await joinQuietly({ service: 'client', controlPlane });
  closers.push(() => client.close());
  await eventually('both versions answer', async () => {
    const seen = new Set<string>();
    for (let i = 0; i < 10; i++) {
      const response = await client.fetch('http://echo/').catch(() => undefined);
      if (response?.status === 200) seen.add(await response.text());
    }
    return seen.size === 2;
  });
  return { members, client };
}

const split = (v1: number, v2: number) => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: echo }
spec:
  host: echo
  subsets:
    - { name: v1, labels: { version: v1 } }
    - { name: v2, labels: { version: v2 } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: echo }
spec:
  hosts: [echo]
  http:
    - route:
        - { destination: { host: echo, subset: v1 }, weight: ${v1} }
        - { destination: { host: echo, subset: v2 }, weight: ${v2} }
`;

describe('no request fails', () => {
  test('while routes change under 500 requests a second', async () => {
    const folder = new TemporaryFolder();
    closers.push(() => folder.remove());
    folder.write('mesh.yaml', split(50, 50));
    const plane = await createControlPlane({
      config: [folder.path],
      ports: { xds: 0, secureXds: 0, http: 0 },
      logger: silentLogger,
    });
    closers.push(() => plane.close());
    const { client } = await startMembers(plane.addresses.xds);
    const load = startLoad(client, 'http://echo/', 500);
    for (let change = 0; change < 20; change++) {
      folder.write('mesh.yaml', change % 2 === 0 ? split(100, 0) : split(0, 100));
      await wait(300);
    }
    folder.write('mesh.yaml', split(0, 100));
    await eventually('the last change is in force', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, async () => (await client.fetch('http://echo/')).text()),
      );
      return answers.every((answer) => answer === 'v2');
    });
    expectNoFailure(await load.stop(), 3_000);
  });

  test('while the control plane is killed and comes back', async () => {
    const data = new TemporaryFolder();
    closers.push(() => data.remove());
    const args = ['--data', data.path, '--config', data.write('mesh.yaml', split(50, 50))];
    let plane = await ControlPlaneProcess.start(args);
    closers.push(() => plane.stop('SIGKILL'));
    const { client } = await startMembers(plane.addresses.xds);
    const load = startLoad(client, 'http://echo/', 300);
    await wait(500);
    await plane.stop('SIGKILL');
    await wait(3_000);
    expect(client.status().controlPlane.state).not.toBe('connected');
    plane = await ControlPlaneProcess.start(args, plane.addresses);
    await eventually('the client is back', () => client.status().controlPlane.state === 'connected', 40_000);
    // And what changes afterwards arrives.
    data.write('mesh.yaml', split(0, 100));
    await eventually('a later change is in force', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, async () => (await client.fetch('http://echo/')).text()),
      );
      return answers.every((answer) => answer === 'v2');
    });
    const result = await load.stop();
    expectNoFailure(result, 1_000);
    expect([...result.bodies.keys()].sort()).toEqual(['v1', 'v2']);
  });
});
