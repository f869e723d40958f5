import { afterEach, expect, test } from 'vitest';
import { bodiesOf, istio, service, World } from './features-world.js';
import { eventually } from './support.js';

let world: World;

afterEach(() => world.close());

/** A server in each place, which answers with its place. */
async function serveIn(places: readonly string[], failing: ReadonlySet<string> = new Set()): Promise<void> {
  for (const locality of places) {
    await world.serve({ service: 'echo', locality }, (_request, response) =>
      response.writeHead(failing.has(locality) ? 500 : 200).end(locality),
    );
  }
  // One that comes later would have the others counted anew in the middle of a test.
  await eventually('all are registered', () => world.plane.status().workloads === places.length);
}

const url = 'http://echo/';
const policy = (text: string) =>
  service('echo') +
  istio('DestinationRule', 'echo', `host: echo\ntrafficPolicy:\n${text.replace(/^/gm, '  ')}`);

test('requests fail over to the next zone, then to the next region, and come back', async () => {
  world = await World.start(
    policy(`loadBalancer: { localityLbSetting: { failover: [{ from: eu, to: us }] } }
outlierDetection: { consecutive5xxErrors: 2, interval: 50ms, baseEjectionTime: 1s, maxEjectionPercent: 100 }`),
  );
  const failing = new Set<string>();
  const places = ['ap/a/', 'eu/a/1', 'eu/b/', 'us/a/'];
  await serveIn(places, failing);
  const client = await world.join({ locality: 'eu/a/1' });
  const only = async (place: string) => (await bodiesOf(client, url, 4)).get(place) === 4;

  expect(await bodiesOf(client, url, 10)).toEqual(new Map([['eu/a/1', 10]]));
  failing.add('eu/a/1');
  expect(await bodiesOf(client, url, 10)).toEqual(
    new Map([
      ['eu/a/1', 2],
      ['eu/b/', 8],
    ]),
  );
  failing.add('eu/b/');
  await eventually('the region that is named serves', () => only('us/a/'));
  failing.clear();
  await eventually('the own zone serves again', () => only('eu/a/1'));

  const elsewhere = await world.join({ labels: { 'istio-locality': 'us.a' } });
  expect(await bodiesOf(elsewhere, url, 5)).toEqual(new Map([['us/a/', 5]]));
});

test('requests are distributed by the weights for the place of the client', async () => {
  world = await World.start(
    policy(`loadBalancer:
  simple: ROUND_ROBIN
  localityLbSetting: { distribute: [{ from: eu/*, to: { eu/a: 80, eu/b: 20 } }] }`),
  );
  await serveIn(['eu/a/', 'eu/b/', 'us/a/']);
  const near = await world.join({ locality: 'eu/a/' });
  const far = await world.join({ locality: 'us/a/' });
  // Exact in any twenty requests, unless an update of the endpoints starts the schedule anew among them.
  await eventually('the weights hold', async () => {
    const bodies = await bodiesOf(near, url, 20);
    return bodies.size === 2 && bodies.get('eu/a/') === 16 && bodies.get('eu/b/') === 4;
  });
  expect(new Set((await bodiesOf(far, url, 12)).values())).toEqual(new Set([4]));
});
