import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { eventually } from '../mesh/support.js';
import { MODES, type Mode } from './ads/modes.js';
import { type IndependentAds, well } from './ads/server.js';
import { edsCluster, endpointsAt, putHost } from './ads/shop.js';
import { type Backend, startBackend } from './backends.js';
import { ask, joinMesh, startAds, warmUp } from './support.js';

let a: Backend;
let b: Backend;
const faults: unknown[] = [];
const onFault = (error: unknown) => faults.push(error);

beforeAll(async () => {
  a = await startBackend('a');
  b = await startBackend('b');
  await warmUp();
  process.on('unhandledRejection', onFault);
});
afterAll(async () => {
  process.off('unhandledRejection', onFault);
  await Promise.all([a.close(), b.close()]);
});

/** Moves the host to other endpoints and touches everything else, so that every type has news. */
function move(ads: IndependentAds, port: number): void {
  const { world } = ads;
  world.put('CDS', 'shop', edsCluster('shop-endpoints', { connect_timeout: `${port % 50}.5s` }));
  world.put('EDS', 'shop-endpoints', endpointsAt(port));
  world.touch('LDS').touch('RDS');
  ads.publish();
}

async function meet(mode: Mode, xdsProtocol: 'sotw' | 'delta', context: TestContext): Promise<void> {
  const ads = await startAds(context);
  putHost(ads.world, 'shop.mesh', [a.port]);
  const mesh = await joinMesh(ads, context, { xdsProtocol });
  expect(await ask(mesh)).toBe('200 a');
  let left = 0;
  const { hostility = well, felt = () => left > 0 || mode.hostility === undefined } = mode;
  ads.hostility = (response, wire) => {
    left++;
    hostility(response, wire);
  };
  mode.arrange?.(ads);
  move(ads, b.port);
  const answers = new Set<string>();
  await eventually(`${mode.name}: met`, async () => {
    answers.add(await ask(mesh));
    return felt(ads);
  });
  if (mode.delivers === true)
    await eventually('the change', async () => (await ask(mesh)) === '200 b' || undefined);
  else if (mode.delivers !== 'either')
    expect([...answers, await ask(mesh)].every((one) => one === '200 a')).toBe(true);
  expect([...answers].filter((one) => !['200 a', '200 b'].includes(one))).toEqual([]);

  // The server is well again, and all is as if nothing had been.
  ads.hostility = well;
  ads.resendsOnNack = false;
  ads.refusesStreams = false;
  move(ads, b.port);
  await eventually('the recovery', async () => (await ask(mesh)) === '200 b' || undefined);
  await eventually('answers', () => ads.streams === 1 && ads.unanswered().length === 0);
  expect(mesh.status().controlPlane.state).toBe('connected');
  expect(ads.referee.violations).toEqual([]);
  expect(faults).toEqual([]);
}

describe.concurrent.each(['sotw', 'delta'] as const)(
  'a hostile control plane (%s): requests go on, and what it means gets through when it is well',
  (protocol) => {
    test.for(MODES)('$name', (mode, context) => meet(mode, protocol, context));
  },
);
