import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../../src/codec/resource-types.js';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { methodOf } from '../../../src/xds/service-methods.js';
import { assignmentOf, clusterOf, listenerOf, routesTo as routesOf } from '../../unit/xds/fixtures.js';
import { eventually, joinQuietly } from '../mesh/support.js';
import { AdsState } from '../support/ads-state.js';
import { apiListener, edsCluster, endpointsAt, putHost, routesTo, toCluster } from './ads/shop.js';
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

test('the second control plane serves while the first one is away, and is left when it comes', async (context) => {
  const second = await startAds(context);
  putHost(second.world, 'shop.mesh', [b.port]);
  const first = await startAds(context);
  const { port } = first;
  await first.close();
  const mesh = await joinMesh(second, context, {
    controlPlane: `127.0.0.1:${port},${second.address}`,
    // It has none, and says so at once.
    certificateAuthority: second.address,
  });
  expect(await ask(mesh)).toBe('200 b');
  expect(mesh.status().controlPlane.servers).toMatchObject([
    { isPreferred: true, target: `127.0.0.1:${port}` },
    { isPreferred: false, state: 'connected', authority: '' },
  ]);

  putHost(first.world, 'shop.mesh', [a.port]);
  await first.listen(port);
  await eventually('the first one', async () => (await ask(mesh)) === '200 a');
  await eventually('the second one is left', () => second.streams === 0);
  expect(mesh.status().controlPlane.servers).toMatchObject([{ isPreferred: true, state: 'connected' }]);
  for (const ads of [first, second]) expect([ads.referee.violations, ads.referee.nacks]).toEqual([[], []]);
});

test('a host of another authority is reached by its listener’s xdstp name', async (context) => {
  const near = await startAds(context);
  putHost(near.world, 'shop.mesh', [a.port]);
  const far = await startAds(context);
  const name = (type: string, id: string) => `xdstp://partner.example/envoy.config.${type}/${id}`;
  const cluster = name('cluster.v3.Cluster', 'pay');
  const endpoints = name('endpoint.v3.ClusterLoadAssignment', 'pay');
  far.world
    .put(
      'LDS',
      name('listener.v3.Listener', 'pay.mesh:80'),
      apiListener({ route_config: routesTo(toCluster(cluster)) }),
    )
    .put('CDS', cluster, edsCluster(endpoints))
    .put('EDS', endpoints, endpointsAt(b.port));
  const mesh = await joinMesh(near, context, {
    controlPlane: {
      servers: [near.address],
      authorities: { 'partner.example': { servers: [far.address] } },
      listeners: ['xds://partner.example/pay.mesh:80'],
    },
  });
  expect(await ask(mesh)).toBe('200 a');
  expect(await ask(mesh, 'pay.mesh')).toBe('200 b');
  expect(mesh.status().controlPlane.servers.map(({ authority }) => authority)).toEqual([
    '',
    'partner.example',
  ]);
  for (const ads of [near, far]) expect([ads.referee.violations, ads.referee.nacks]).toEqual([[], []]);
});

/** A server of the services of single types, and of no ADS. */
async function startSeparate(state: AdsState, { onTestFinished }: TestContext) {
  const server = new grpc.Server();
  const connections = new Set<string>();
  const identity = (bytes: Buffer) => bytes;
  for (const { typeUrl } of [LISTENER, ROUTE_CONFIGURATION, CLUSTER, CLUSTER_LOAD_ASSIGNMENT]) {
    const definition = {
      path: methodOf(typeUrl, 'sotw') ?? '',
      requestStream: true,
      responseStream: true,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    };
    server.addService({ stream: definition } as grpc.ServiceDefinition, {
      stream(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
        connections.add(call.getPeer());
        const session = state.session((bytes) => void call.write(Buffer.from(bytes)));
        call.on('data', (bytes: Buffer) => session.take(bytes));
        call.on('cancelled', () => session.end());
        call.on('error', () => {});
      },
    });
  }
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  onTestFinished(() => server.forceShutdown());
  return { port, connections };
}

test('separate streams of all types go over one connection', async (context) => {
  const state = new AdsState()
    .put(LISTENER, 'shop.mesh:80', listenerOf('shop.mesh:80', 'shop'))
    .put(ROUTE_CONFIGURATION, 'shop', routesOf('shop', 'shop'))
    .put(CLUSTER, 'shop', clusterOf('shop'))
    .put(CLUSTER_LOAD_ASSIGNMENT, 'shop', assignmentOf('shop', a.port));
  state.publish();
  const { port, connections } = await startSeparate(state, context);
  const mesh = await joinQuietly({
    service: 'client',
    controlPlane: { servers: [`127.0.0.1:${port}`], streams: 'separate' },
    startupTimeoutMs: 10_000,
  });
  context.onTestFinished(() => mesh.close());
  expect(await ask(mesh)).toBe('200 a');
  expect(connections.size).toBe(1);
  state.put(CLUSTER_LOAD_ASSIGNMENT, 'shop', assignmentOf('shop', b.port)).publish();
  await eventually('new endpoints', async () => (await ask(mesh)) === '200 b');
});

test('the bootstrap of Istio’s agent works as it is: socket, node, identity files', async (context) => {
  const dir = await mkdtemp(join(tmpdir(), 'inmesh-agent-'));
  context.onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const ads = await startAds(context);
  putHost(ads.world, 'shop.mesh', [a.port]);
  const socket = join(dir, 'XDS');
  const agent = createServer((client) => {
    const server = connect(ads.port, '127.0.0.1');
    client.pipe(server).pipe(client);
    for (const end of [client, server]) end.on('error', () => {});
    for (const end of [client, server]) end.on('close', () => client.destroy() && server.destroy());
  });
  await new Promise<void>((resolve) => agent.listen(socket, () => resolve()));
  context.onTestFinished(() => void agent.close());

  const ca = await createTestCa();
  const { certificatesPem, privateKey } = ca.svid('prod/shopper');
  const files = {
    certificate_file: 'cert-chain.pem',
    private_key_file: 'key.pem',
    ca_certificate_file: 'root-cert.pem',
  };
  await writeFile(join(dir, 'cert-chain.pem'), certificatesPem.join(''));
  await writeFile(join(dir, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await writeFile(join(dir, 'root-cert.pem'), ca.bundle.authorities.join(''));
  const config = Object.fromEntries(Object.entries(files).map(([key, name]) => [key, join(dir, name)]));
  const bootstrap = {
    xds_servers: [
      { server_uri: `unix://${socket}`, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] },
    ],
    node: {
      id: 'sidecar~10.1.2.3~client-7d9.prod~prod.svc.cluster.local',
      metadata: { GENERATOR: 'grpc', NAMESPACE: 'prod', INSTANCE_IPS: '10.1.2.3', LABELS: { app: 'client' } },
      locality: {},
      UserAgentVersionType: null,
    },
    certificate_providers: {
      default: { plugin_name: 'file_watcher', config: { ...config, refresh_interval: '900s' } },
    },
    server_listener_resource_name_template: 'xds.istio.io/grpc/lds/inbound/%s',
  };
  const path = join(dir, 'grpc-bootstrap.json');
  await writeFile(path, JSON.stringify(bootstrap));
  process.env['GRPC_XDS_BOOTSTRAP'] = path;
  context.onTestFinished(() => void delete process.env['GRPC_XDS_BOOTSTRAP']);
  const mesh = await joinQuietly({ startupTimeoutMs: 10_000 });
  context.onTestFinished(() => mesh.close());
  expect(await ask(mesh)).toBe('200 a');
  expect(mesh.status()).toMatchObject({
    service: 'client',
    namespace: 'prod',
    nodeId: bootstrap.node.id,
    identity: { spiffeId: 'spiffe://cluster.local/ns/prod/sa/shopper' },
  });
  expect([ads.referee.violations, ads.referee.nacks]).toEqual([[], []]);
});
