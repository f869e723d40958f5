import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Mesh } from '../../../src/index.js';
import { becomes, policy } from '../mesh/authorization-world.js';
import { World } from '../mesh/features-world.js';
import { eventually, joinQuietly } from '../mesh/support.js';
import { outcomeOf } from './support.js';

/** AuthorizationPolicies at a port that speaks no HTTP. */

let world: World;
let port = 0;
let web: Mesh;
let batch: Mesh;
const sockets: Socket[] = [];

beforeAll(async () => {
  world = await World.start('');
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

afterAll(() => world.close());

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

test('what a provider of gRPC would be asked about is refused', async () => {
  world.configure(policy('a', '{action: CUSTOM, provider: {name: nobody}, rules: [{}]}'));
  await becomes(both, [false, false]);
  world.configure('');
  await becomes(both, [true, true]);
});
