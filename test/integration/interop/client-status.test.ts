import { create, fromBinary, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { Client, status as codes, credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { addClientStatus } from '../../../src/grpc.js';
import type { Mesh } from '../../../src/index.js';
import { admin, status } from '../../../src/proto/xds.js';
import { eventually } from '../mesh/support.js';
import { edsCluster, putHost } from './ads/shop.js';
import { type Backend, startBackend } from './backends.js';
import { ask, joinMesh, startAds } from './support.js';

/** This control plane issues no certificates: nobody need wait for one. */
const SOON = { configurationTimeoutMs: 1000 };
const SERVICE = '/envoy.service.status.v3.ClientStatusDiscoveryService/';
const { ACKED, DOES_NOT_EXIST, NACKED } = admin.ClientResourceStatus;

let a: Backend;
beforeAll(async () => {
  a = await startBackend('a');
});
afterAll(() => a.close());

const toBytes = (bytes: Uint8Array) => Buffer.from(bytes);

/** Asks a server for a client's status; rejects with the status of the call. */
function fetchStatus(
  port: number,
  request: Partial<Pick<status.ClientStatusRequest, 'excludeResourceContents' | 'nodeMatchers'>> = {},
): Promise<status.ClientConfig> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const bytes = toBinary(status.ClientStatusRequestSchema, create(status.ClientStatusRequestSchema, request));
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      `${SERVICE}FetchClientStatus`,
      toBytes,
      (answer) => answer,
      bytes,
      (error, answer) => {
        client.close();
        if (error !== null || answer === undefined) {
          reject(error ?? new Error('no answer'));
          return;
        }
        const [config] = fromBinary(status.ClientStatusResponseSchema, answer).config;
        if (config === undefined) reject(new Error('no client'));
        else resolve(config);
      },
    );
  });
}

/** Where a mesh shows itself: the port is the system's choice. */
async function withAdmin(context: TestContext) {
  const ads = await startAds(context);
  putHost(ads.world, 'shop.mesh', [a.port]);
  const mesh = await joinMesh(ads, context, { adminAddress: '127.0.0.1:0', ...SOON });
  const { admin: at } = mesh.status();
  if (at === undefined) throw new Error('nothing is shown');
  return { ads, mesh, port: at.port };
}

const entry = (config: status.ClientConfig, name: string) =>
  config.genericXdsConfigs.find((one) => one.name === name);

describe.concurrent('what a mesh tells of its configuration', () => {
  test('comes by gRPC (CSDS): what is in force, since when, and what was refused and why', async (context) => {
    const { ads, mesh, port } = await withAdmin(context);
    expect(await ask(mesh)).toBe('200 a');
    const before = await fetchStatus(port);
    expect(before.node?.id).toBe(mesh.status().nodeId);
    expect(before.genericXdsConfigs.map(({ name }) => name).sort()).toEqual(
      expect.arrayContaining(['shop', 'shop-endpoints', 'shop-routes', 'shop.mesh:80']),
    );
    const good = entry(before, 'shop');
    expect(good).toMatchObject({ clientStatus: ACKED, typeUrl: expect.stringContaining('Cluster') });
    expect(good?.xdsConfig?.typeUrl).toBe(good?.typeUrl);
    expect(Number(good?.lastUpdated?.seconds) * 1000).toBeGreaterThan(Date.now() - 60_000);
    expect(good?.errorState).toBeUndefined();

    ads.world.put('CDS', 'shop', edsCluster('shop-endpoints', { lb_policy: 'CLUSTER_PROVIDED' }));
    ads.publish();
    const bad = await eventually('the refusal', async () => {
      const now = entry(await fetchStatus(port), 'shop');
      return now?.clientStatus === NACKED ? now : undefined;
    });
    expect(bad.versionInfo).toBe(good?.versionInfo);
    expect(bad.xdsConfig?.value).toEqual(good?.xdsConfig?.value);
    expect(bad.errorState?.details).toContain('shop');
    expect(bad.errorState?.versionInfo).not.toBe(good?.versionInfo);
    expect(bad.errorState?.failedConfiguration?.value.length).toBeGreaterThan(0);
    expect(await ask(mesh)).toBe('200 a');

    const bare = entry(await fetchStatus(port, { excludeResourceContents: true }), 'shop');
    expect(bare).toMatchObject({ clientStatus: NACKED });
    expect(bare?.xdsConfig).toBeUndefined();
    expect(bare?.errorState?.failedConfiguration).toBeUndefined();
  });

  test('does not choose nodes for whoever asks', async (context) => {
    const { port } = await withAdmin(context);
    const nodeMatchers = create(status.ClientStatusRequestSchema, { nodeMatchers: [{}] }).nodeMatchers;
    await expect(fetchStatus(port, { nodeMatchers })).rejects.toMatchObject({ code: codes.INVALID_ARGUMENT });
  });

  test('comes as a stream that answers each request, and no other service is there', async (context) => {
    const { port } = await withAdmin(context);
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const call = client.makeBidiStreamRequest(`${SERVICE}StreamClientStatus`, toBytes, (bytes) => bytes);
    const answers: Buffer[] = [];
    call.on('data', (answer: Buffer) => answers.push(answer));
    const empty = toBinary(status.ClientStatusRequestSchema, create(status.ClientStatusRequestSchema));
    call.write(empty);
    await eventually('an answer', () => answers.length === 1);
    call.write(empty);
    await eventually('another answer', () => answers.length === 2);
    const ended = new Promise((resolve) => call.on('status', ({ code }) => resolve(code)));
    call.end();
    expect(await ended).toBe(codes.OK);
    const other = new Promise((resolve) => {
      client.makeUnaryRequest('/some.Other/Method', toBytes, toBytes, empty, (error) => resolve(error?.code));
    });
    expect(await other).toBe(codes.UNIMPLEMENTED);
    client.close();
  });

  test('is served by servers of grpc-js that add it', async (context) => {
    const ads = await startAds(context);
    putHost(ads.world, 'shop.mesh', [a.port]);
    ads.world.put('LDS', 'lost.mesh:80', { api_listener: {} });
    const mesh: Mesh = await joinMesh(ads, context, SOON);
    const server = new Server();
    addClientStatus(server, mesh);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    context.onTestFinished(() => server.forceShutdown());
    await ask(mesh);
    const config = await fetchStatus(port);
    expect(entry(config, 'shop')?.clientStatus).toBe(ACKED);
    expect(entry(config, 'lost.mesh:80')?.clientStatus).toBe(NACKED);
    expect(config.genericXdsConfigs.some(({ clientStatus }) => clientStatus === DOES_NOT_EXIST)).toBe(false);
  });

  test('comes as pages of Envoy’s admin interface, which only read', async (context) => {
    const { mesh, port } = await withAdmin(context);
    await ask(mesh);
    const page = async (path: string, init?: RequestInit) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
      return { status: response.status, text: await response.text() };
    };
    const dump = JSON.parse((await page('/config_dump?include_eds')).text);
    const types = dump.configs.map((one: JsonObject) => String(one['@type']).split('.').at(-1));
    expect(types).toEqual([
      'BootstrapConfigDump',
      'ClustersConfigDump',
      'ListenersConfigDump',
      'RoutesConfigDump',
      'SecretsConfigDump',
      'EndpointsConfigDump',
    ]);
    expect(dump.configs[1].dynamic_active_clusters[0]).toMatchObject({
      cluster: { '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name: 'shop', type: 'EDS' },
      client_status: 'ACKED',
    });
    expect(dump.configs[2].dynamic_listeners[0]).toMatchObject({
      name: 'shop.mesh:80',
      active_state: { listener: { api_listener: {} } },
    });
    expect(mesh.configDump().configs.map((one) => one['@type'])).toHaveLength(5);
    const only = JSON.parse(
      (await page('/config_dump?resource=dynamic_route_configs&name_regex=shop-.*')).text,
    );
    expect(only.configs).toMatchObject([{ route_config: { name: 'shop-routes' } }]);
    expect((await page('/config_dump?resource=nothing')).status).toBe(404);
    expect((await page('/config_dump?name_regex=(')).status).toBe(400);
    expect((await page('/clusters')).text).toContain(`shop::127.0.0.1:${a.port}::rq_success::1\n`);
    const clusters = JSON.parse((await page('/clusters?format=json')).text);
    expect(clusters.cluster_statuses[0]).toMatchObject({
      name: 'shop',
      eds_service_name: 'shop-endpoints',
      host_statuses: [{ address: { socket_address: { address: '127.0.0.1', port_value: a.port } } }],
    });
    expect((await page('/ready')).text).toBe('LIVE\n');
    // It changes something in Envoy, which takes no GET for that either.
    expect((await page('/quitquitquit')).status).toBe(405);
    expect((await page('/config_dump', { method: 'POST' })).status).toBe(405);
  });
});
