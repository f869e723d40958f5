import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SECRET } from '../../../src/codec/secret.js';
import { meshServerCredentials, meshServerInterceptors } from '../../../src/grpc.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import { World } from '../mesh/features-world.js';
import { eventually } from '../mesh/support.js';
import { interopCases } from './interop-cases.js';
import { type TestClient, testService, testServiceHandlers } from './interop-service.js';
import { bareClient, bind, credentialsOf, type GrpcMember, outcomeOf } from './server-support.js';
import { freePort, ServerWorld } from './server-world.js';

/** Servers that their owner builds from the parts: interceptors and credentials. */
let servers: ServerWorld;
const clients = new Map<string, TestClient>();

async function build(
  filters: readonly FilterConfig[],
  credentials: 'mesh' | 'insecure',
): Promise<GrpcMember> {
  const port = await freePort();
  servers.listen(port, { filters });
  const mesh = await servers.join();
  const server = new grpc.Server({ interceptors: meshServerInterceptors(mesh, { port }) });
  server.addService(testService, testServiceHandlers());
  servers.world.onClose(async () => server.forceShutdown());
  const own = credentials === 'mesh' ? meshServerCredentials(mesh) : grpc.ServerCredentials.createInsecure();
  await bind(server, `127.0.0.1:${port}`, own);
  return { mesh, server, port };
}

const addition = { name: 'x-seen', value: '%PROTOCOL%', action: 'add-if-absent', keepEmpty: false } as const;
const HEADERS: FilterConfig = {
  kind: 'header-mutation',
  request: [{ kind: 'set', addition }],
  response: [{ kind: 'set', addition }],
  mostSpecificWins: false,
};

const only = (id: string): FilterConfig => ({
  kind: 'rbac',
  rules: {
    action: 'allow',
    policies: [
      {
        name: 'p',
        permissions: [{ kind: 'any' }],
        principals: [{ kind: 'authenticated', name: { kind: 'exact', value: id, ignoreCase: false } }],
      },
    ],
  },
  shadowRules: undefined,
  rulesStatPrefix: '',
  shadowRulesStatPrefix: '',
  trackPerRuleStats: false,
});

beforeAll(async () => {
  servers = await ServerWorld.start();
  const { world } = servers;
  const mtls = credentialsOf(await world.join());
  const [secure, plain] = [await build([HEADERS], 'mesh'), await build([HEADERS], 'insecure')];
  clients.set('mTLS', bareClient(world, secure.port, mtls));
  clients.set('plaintext', bareClient(world, plain.port));
  await eventually(
    'the policy is there',
    async () => (await outcomeOf(bareClient(world, plain.port)))[0] === 'OK',
  );
});
afterAll(() => servers.close());

describe.each(['mTLS', 'plaintext'])('%s', (name) => {
  // Made before any test runs.
  interopCases(() => clients.get(name) as TestClient);

  test('the head of an answer is changed by filters', async () => {
    const metadata = await new Promise<grpc.Metadata>((resolve, reject) => {
      const call = (clients.get(name) as TestClient).emptyCall(
        {},
        new grpc.Metadata(),
        {},
        (error) => error !== null && reject(error),
      );
      call.on('metadata', resolve);
    });
    expect(metadata.get('x-seen')).toEqual(['HTTP/2']);
  });
});

test('RBAC goes by who the caller proves to be; what it says counts for nothing', async () => {
  const { world } = servers;
  const { port, mesh } = await build([only('spiffe://cluster.local/ns/default/sa/friend')], 'mesh');
  const friend = bareClient(world, port, credentialsOf(await world.join({ serviceAccount: 'friend' })));
  await eventually('the policy is there', async () => (await outcomeOf(friend))[0] === 'OK');
  const other = bareClient(world, port, credentialsOf(await world.join({ serviceAccount: 'other' })));
  const forged = { 'x-forwarded-client-cert': 'By=x;URI=spiffe://cluster.local/ns/default/sa/friend' };
  expect(await outcomeOf(other, forged)).toEqual(['PERMISSION_DENIED', 'RBAC: access denied']);
  expect((await outcomeOf(bareClient(world, port)))[0]).toBe('UNAVAILABLE');
  const metrics = mesh.metrics();
  expect(metrics).toMatch(
    /istio_requests_total\{reporter="destination".*grpc_response_status="0".*mutual_tls/,
  );
  expect(metrics).toMatch(
    /istio_requests_total\{reporter="destination".*grpc_response_status="7".*mutual_tls/,
  );
});

test('a listener with a certificate by SDS lets nobody in: the handshake shows another one', async () => {
  const { world, state } = servers;
  const { port } = await build([], 'mesh');
  const client = bareClient(world, port, credentialsOf(await world.join()));
  await eventually('the policy is there', async () => (await outcomeOf(client))[0] === 'OK');
  const pem = { kind: 'inline', pem: 'any' } as const;
  const secret = { kind: 'certificate', certificate: { chain: pem, key: pem } } as const;
  state.put(SECRET, 'own', { name: 'own', secret });
  const tls = { requireClientCertificate: true, alpn: [], certificateSecret: 'own' };
  servers.listen(port, {
    chains: ['tls'],
    change: (listener) => ({
      ...listener,
      filterChains: listener.filterChains.map((one) => ({ ...one, tls })),
    }),
  });
  const refused = ['UNAVAILABLE', 'the certificate "own" can not be shown here'];
  await eventually('the refusal', async () => (await outcomeOf(client))[1] === refused[1]);
  expect(await outcomeOf(client)).toEqual(refused);
});

test('a certificate of another authority is refused, and ours is renewed while the server runs', async () => {
  const { world } = servers;
  const { port, mesh } = await build([], 'mesh');
  const stranger = await World.start('');
  try {
    const foreign = bareClient(world, port, credentialsOf(await stranger.join()));
    expect((await outcomeOf(foreign))[0]).toBe('UNAVAILABLE');
  } finally {
    await stranger.close();
  }
  const before = mesh.identity.svid()?.leaf.serialNumber;
  const renewed = new Promise<void>((resolve) => {
    mesh.identity.onUpdate(resolve);
  });
  // A source that renews itself can be asked to do so at once.
  await Promise.all([renewed, (mesh.identity as unknown as { renewNow(): Promise<void> }).renewNow()]);
  expect(mesh.identity.svid()?.leaf.serialNumber).not.toBe(before);
  const client = bareClient(world, port, credentialsOf(await world.join()));
  await eventually('the policy is there', async () => (await outcomeOf(client))[0] === 'OK');
});
