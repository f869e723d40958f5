import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Mesh } from '../../../src/index.js';
import { startGrpc } from '../filters/authz-servers.js';
import { becomes, entry, policy } from '../mesh/authorization-world.js';
import { World } from '../mesh/features-world.js';
import { eventually, joinQuietly } from '../mesh/support.js';
import { outcomeOf } from './support.js';

/** AuthorizationPolicies at a port that speaks no HTTP. */

let world: World;
let authz: Awaited<ReturnType<typeof startGrpc>>;
let port = 0;
let web: Mesh;
let batch: Mesh;
const sockets: Socket[] = [];

beforeAll(async () => {
  authz = await startGrpc(({ attributes }) => ({
    status: { code: attributes?.source?.principal.endsWith('/sa/web') === true ? 0 : 7 },
  }));
  world = await World.start('', {
    extensionProviders: [
      { name: 'asked', envoyExtAuthzGrpc: { service: 'authz.test', port: authz.port, timeout: '5s' } },
    ],
  });
  const mesh = await joinQuietly({
    controlPlane: world.plane.addresses.xds,
    leaveDelayMs: 0,
    service: 'cache',
  });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.resume();
    socket.end('welcome');
  });
  ({ port } = await mesh.listen(server, 0));
  world.onClose(() => mesh.close());
  web = await world.join({ serviceAccount: 'web' });
  batch = await world.join({ serviceAccount: 'batch' });
  await eventually('the service is there', () =>
    [web, batch].every((one) => one.status().clusters.some(({ name }) => name.includes('cache'))),
  );
});

afterAll(async () => {
  await world.close();
  authz.stop();
});

const call = (mesh: Mesh) => outcomeOf(mesh.connect('cache', port));
const both = async () => [(await call(web)) === 'welcome', (await call(batch)) === 'welcome'];

test('without policies everybody is let in', async () => {
  expect(await both()).toEqual([true, true]);
});

test('ALLOW by principal lets in whom it names', async () => {
  world.configure(policy('a', '{rules: [{from: [{source: {principals: ["*/sa/web"]}}]}]}'));
  await becomes(both, [true, false]);
});

test('a rule that allows by HTTP allows nobody, one that denies by it denies more', async () => {
  world.configure(policy('a', '{rules: [{to: [{operation: {methods: [GET]}}]}]}'));
  await becomes(both, [false, false]);
  world.configure(
    policy(
      'a',
      '{action: DENY, rules: [{from: [{source: {principals: ["*/sa/batch"]}}], to: [{operation: {paths: [/x]}}]}]}',
    ),
  );
  await becomes(both, [true, false]);
});

test('DENY by address and port', async () => {
  world.configure(policy('a', `{action: DENY, rules: [{to: [{operation: {ports: ["${port + 1}"]}}]}]}`));
  await becomes(both, [true, true]);
  world.configure(
    policy(
      'a',
      `{action: DENY, rules: [{from: [{source: {ipBlocks: [127.0.0.1]}}], to: [{operation: {ports: ["${port}"]}}]}]}`,
    ),
  );
  await becomes(both, [false, false]);
});

test('a provider of gRPC decides about what the policy matches', async () => {
  const custom = (rules: string) =>
    entry('authz.test', authz.port, 'GRPC') +
    policy('a', `{action: CUSTOM, provider: {name: asked}, rules: ${rules}}`);
  world.configure(custom('[{}]'));
  await becomes(both, [true, false]);
  world.configure(custom('[{to: [{operation: {ports: ["1"]}}]}]'));
  await becomes(both, [true, true]);
});

test('what a provider that is not there would be asked about is refused', async () => {
  world.configure(policy('a', '{action: CUSTOM, provider: {name: nobody}, rules: [{}]}'));
  await becomes(both, [false, false]);
  world.configure('');
  await becomes(both, [true, true]);
});
