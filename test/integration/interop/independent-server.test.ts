import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../mesh/support.js';
import { STATUS } from './ads/grpc-stream.js';
import type { IndependentAds } from './ads/server.js';
import { apiListener, byRds, edsCluster, endpointsAt, putHost, routesTo, toCluster } from './ads/shop.js';
import { type Backend, startBackend } from './backends.js';
import { ask, joinMesh, startAds, warmUp } from './support.js';

let a: Backend;
let b: Backend;
beforeAll(async () => {
  a = await startBackend('a');
  b = await startBackend('b');
  await warmUp();
});
afterAll(() => Promise.all([a.close(), b.close()]));

const settled = (ads: IndependentAds) =>
  eventually('answers', () => ads.streams === 1 && ads.unanswered().length === 0);

describe.concurrent.each(['sotw', 'delta'] as const)(
  'the SDK with a control plane made from the text of the protocol alone (%s)',
  (xdsProtocol) => {
    test('reaches what it is told of, and follows changes of each type', async (context) => {
      const ads = await startAds(context);
      putHost(ads.world, 'shop.mesh', [a.port]);
      const mesh = await joinMesh(ads, context, { xdsProtocol });
      expect(await ask(mesh)).toBe('200 a');

      ads.world.put('EDS', 'shop-endpoints', endpointsAt(b.port));
      ads.publish();
      await eventually('new endpoints', async () => (await ask(mesh)) === '200 b');

      ads.world.put('CDS', 'other', edsCluster('')).put('EDS', 'other', endpointsAt(a.port));
      ads.world.put('RDS', 'shop-routes', routesTo(toCluster('other')));
      ads.publish();
      await eventually('new routes', async () => (await ask(mesh)) === '200 a');

      ads.world.put('LDS', 'shop.mesh:80', apiListener({ route_config: routesTo(toCluster('shop')) }));
      ads.publish();
      await eventually('a new listener', async () => (await ask(mesh)) === '200 b');

      putHost(ads.world, 'late.mesh', [a.port]);
      ads.publish();
      await eventually('a new host', async () => (await ask(mesh, 'late.mesh').catch(() => '')) === '200 a');
      await settled(ads);
      expect(ads.referee.violations).toEqual([]);
      expect(ads.referee.nacks).toEqual([]);
    });

    test('says again what it has when a stream is lost, and needs no answer for it', async (context) => {
      const ads = await startAds(context);
      putHost(ads.world, 'shop.mesh', [a.port]);
      const mesh = await joinMesh(ads, context, { xdsProtocol });
      await settled(ads);
      let sent = 0;
      ads.hostility = (response, wire) => {
        sent += response.resources.length;
        wire.send(response);
      };
      ads.each((call) => call.end(STATUS.UNAVAILABLE, 'restart'));
      await eventually('a new stream', () => ads.openedAtMs.length === 2 && ads.streams === 1);
      expect(await ask(mesh)).toBe('200 a');
      ads.world.put('EDS', 'shop-endpoints', endpointsAt(b.port));
      ads.publish();
      await eventually('the change', async () => (await ask(mesh)) === '200 b');
      // Up to date in everything, it was sent the one that changed.
      expect(sent).toBe(1);
      await settled(ads);
      expect(ads.referee.violations).toEqual([]);
    });

    test('goes on with what it has while the control plane is away, and follows its successor', async (context) => {
      const first = await startAds(context);
      putHost(first.world, 'shop.mesh', [a.port]);
      const mesh = await joinMesh(first, context, { xdsProtocol });
      const { port } = first;
      await settled(first);
      await first.close();
      expect(await ask(mesh)).toBe('200 a');
      await eventually('the loss', () => mesh.status().controlPlane.state !== 'connected');
      expect(await ask(mesh)).toBe('200 a');

      // It never heard of the versions that the client brings.
      const second = await startAds(context, port);
      putHost(second.world, 'shop.mesh', [b.port]);
      await eventually('the change', async () => (await ask(mesh)) === '200 b');
      await settled(second);
      const foreign = second.referee.violations.filter(
        ({ rule }) =>
          !['the first version is the accepted one', 'initial versions are the accepted ones'].includes(rule),
      );
      expect(foreign).toEqual([]);
    });

    test('a refused response is not asked for in a loop, and streams come back at a steady pace', async (context) => {
      const ads = await startAds(context);
      putHost(ads.world, 'shop.mesh', [a.port]);
      const mesh = await joinMesh(ads, context, { xdsProtocol });
      await settled(ads);
      ads.resendsOnNack = true;
      ads.hostility = (response, wire) => {
        const resources = response.resources.map((one) => ({
          ...one,
          any: { ...one.any, value: one.any.value.subarray(0, one.any.value.length - 1) },
        }));
        wire.send({ ...response, resources }, 'nack');
      };
      ads.world.put('EDS', 'shop-endpoints', endpointsAt(b.port));
      ads.publish();
      await eventually('two refusals', () => ads.referee.nacks.length >= 3);
      const [first = 0, second = 0, third = 0] = ads.referee.nacks.map(({ atMs }) => atMs);
      // The same again after 1 s, then 2 s, each +-20 %.
      expect(second - first).toBeGreaterThan(750);
      expect(third - second).toBeGreaterThan(1550);
      expect(await ask(mesh)).toBe('200 a');
      expect(ads.referee.violations).toEqual([]);
    });

    test('everything is taken away, and comes back', async (context) => {
      const ads = await startAds(context);
      putHost(ads.world, 'shop.mesh', [a.port]);
      const mesh = await joinMesh(ads, context, { xdsProtocol });
      expect(await ask(mesh)).toBe('200 a');
      ads.world.remove('LDS', 'shop.mesh:80').remove('CDS', 'shop');
      ads.world.remove('RDS', 'shop-routes').remove('EDS', 'shop-endpoints');
      ads.publish();
      await eventually('the loss', () => mesh.status().listeners === 0);
      await expect(ask(mesh)).rejects.toThrow('fetch failed');
      putHost(ads.world, 'shop.mesh', [b.port]);
      ads.publish();
      await eventually('the return', async () => (await ask(mesh).catch(() => '')) === '200 b');
      await settled(ads);
      expect(ads.referee.violations).toEqual([]);
    });

    test('a host that refers to what does not exist yet holds nobody up', async (context) => {
      const ads = await startAds(context);
      putHost(ads.world, 'shop.mesh', [a.port]);
      const mesh = await joinMesh(ads, context, { xdsProtocol });
      ads.world.put('LDS', 'ghost.mesh:80', apiListener(byRds('ghost-routes')));
      ads.world.put('RDS', 'ghost-routes', routesTo(toCluster('ghost')));
      ads.world.put('EDS', 'shop-endpoints', endpointsAt(b.port));
      ads.publish();
      await eventually('the other change', async () => (await ask(mesh)) === '200 b');
      ads.world.put('CDS', 'ghost', edsCluster('')).put('EDS', 'ghost', endpointsAt(a.port));
      ads.publish();
      await eventually(
        'the cluster',
        async () => (await ask(mesh, 'ghost.mesh').catch(() => '')) === '200 a',
      );
      await settled(ads);
      expect(ads.referee.violations).toEqual([]);
    });

    test('a storm of changes ends where the last one says', async (context) => {
      const ads = await startAds(context);
      putHost(ads.world, 'shop.mesh', [a.port]);
      const mesh = await joinMesh(ads, context, { xdsProtocol });
      for (let i = 0; i < 200; i++) {
        const port = i % 2 === 0 ? b.port : a.port;
        ads.world.put('EDS', 'shop-endpoints', endpointsAt(port));
        ads.world.put('CDS', 'shop', edsCluster('shop-endpoints', { connect_timeout: `${1 + (i % 7)}s` }));
        if (i % 10 === 0) putHost(ads.world, `host${i}.mesh`, [port]);
        if (i % 30 === 0) ads.world.remove('LDS', `host${i}.mesh:80`);
        ads.publish();
        if (i % 20 === 0) expect(['200 a', '200 b']).toContain(await ask(mesh));
      }
      ads.world.put('EDS', 'shop-endpoints', endpointsAt(b.port));
      ads.publish();
      await eventually('the last change', async () => (await ask(mesh)) === '200 b');
      await eventually(
        'the last host',
        async () => (await ask(mesh, 'host190.mesh').catch(() => '')) === '200 b',
      );
      await settled(ads);
      expect(ads.referee.violations).toEqual([]);
      expect(ads.referee.nacks).toEqual([]);
    });

    test('names that are URLs are names', async (context) => {
      const ads = await startAds(context);
      const name = (type: string, id: string) => `https://names.example/${type}/${id}`;
      const endpoints = name('envoy.config.endpoint.v3.ClusterLoadAssignment', 'shop/a');
      const cluster = name('envoy.config.cluster.v3.Cluster', 'shop?env=prod');
      const routes = name('envoy.config.route.v3.RouteConfiguration', 'shop');
      ads.world.put('LDS', 'shop.mesh:80', apiListener(byRds(routes)));
      ads.world.put('RDS', routes, routesTo(toCluster(cluster)));
      ads.world.put('CDS', cluster, edsCluster(endpoints));
      ads.world.put('EDS', endpoints, endpointsAt(a.port));
      // The unnamed authority has to be known like any other (gRFC A47).
      const controlPlane = { servers: [ads.address], authorities: { '': {} } };
      const mesh = await joinMesh(ads, context, { xdsProtocol, controlPlane });
      expect(await ask(mesh)).toBe('200 a');
      expect(ads.referee.violations).toEqual([]);
    });
  },
);
