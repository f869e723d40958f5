import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../src/codec/resource-types.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from '../unit/xds/fixtures.js';
import { AdsState } from './support/ads-state.js';
import { behaved, type EvilAds, startEvilAds } from './support/evil-ads.js';

const SCRIPT = `
import { createXdsClient } from './src/xds/client.js';
import { xdsServer } from './src/xds/server.js';
import { systemClock } from './src/runtime/clock.js';
import { silentLogger } from './src/runtime/log.js';
import { until } from './src/runtime/signal.js';
const metadata = { NAMESPACE: 'default', SERVICE_ACCOUNT: 'a', LABELS: {}, INSTANCE_IPS: '127.0.0.1', GENERATOR: 'inmesh' };
const client = createXdsClient({
  node: { id: 'n', cluster: 'c', locality: { region: '', zone: '', subZone: '' }, metadata },
  servers: [xdsServer({ target: process.argv[2] })], clock: systemClock, random: Math.random, logger: silentLogger, observer: {},
});
const { snapshot } = await until(client.published, ({ source }) => source === 'control-plane');
console.log([...snapshot.clusters.keys()].join());
`;

let dir = '';
let server: EvilAds;
beforeAll(async () => {
  // Inside the project, so that the bundle finds its packages.
  dir = await mkdtemp(join(import.meta.dirname, '.process-'));
  await build({
    stdin: { contents: SCRIPT, resolveDir: join(import.meta.dirname, '../..'), loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    outfile: join(dir, 'script.mjs'),
  });
  const state = new AdsState()
    .put(LISTENER, 'shop:80', listenerOf('shop:80', 'shop'))
    .put(ROUTE_CONFIGURATION, 'shop', routesTo('shop', 'v1'))
    .put(CLUSTER, 'v1', clusterOf('v1'))
    .put(CLUSTER_LOAD_ASSIGNMENT, 'v1', assignmentOf('v1', 1));
  state.publish();
  server = await startEvilAds(behaved(state));
});
afterAll(async () => {
  await server.kill();
  await rm(dir, { recursive: true, force: true });
});

test('a script waits for its configuration, and ends by itself with the stream still open', async () => {
  const child = spawn(process.execPath, [join(dir, 'script.mjs'), `127.0.0.1:${server.port}`], {
    timeout: 60_000,
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    output += String(chunk);
  });
  const ended = await new Promise((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal })),
  );
  expect({ ended, output }).toEqual({ ended: { code: 0, signal: null }, output: 'v1\n' });
});
