import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { istio } from '../mesh/features-world.js';
import { eventually, TemporaryFolder } from '../mesh/support.js';
import { GrpcWorld, grpcService, rules } from './grpc-world.js';
import { StockPeer } from './stock/stock-peer.js';

// The stock server enforces AuthorizationPolicy as RBAC (gRFC A41), by what is asked and by who asks.

let world: GrpcWorld;
let peer: StockPeer;
let other: StockPeer;
const folder = new TemporaryFolder();

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A listening TCP server has an address of this form.
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const policy = (name: string, spec: string) =>
  istio('AuthorizationPolicy', name, `selector: { matchLabels: { app: guarded } }\n${spec}`);

beforeAll(async () => {
  world = await GrpcWorld.start();
  const ca = await createTestCa();
  const start = (serviceAccount: string) => {
    const svid = ca.svid(`default/${serviceAccount}`);
    const key = svid.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return StockPeer.start({
      controlPlane: world.plane.addresses.xds,
      id: `sidecar~127.0.0.1~${serviceAccount}-1.default~default.svc.cluster.local`,
      metadata: { LABELS: { app: 'guarded' } },
      certificates: {
        chain: folder.write(`${serviceAccount}.pem`, svid.certificatesPem.join('')),
        key: folder.write(`${serviceAccount}.key`, key),
        roots: folder.write('roots.pem', ca.bundle.authorities.join('')),
      },
    });
  };
  peer = start('shop');
  other = start('thief');
});
afterAll(async () => {
  await peer.stop();
  await other.stop();
  await world.close();
  folder.remove();
});

describe('AuthorizationPolicy at the stock gRPC server', () => {
  test('in plaintext: by path and by header', async () => {
    world.configure(
      'guard',
      policy(
        'guard',
        `action: ALLOW
rules:
- to: [{ operation: { paths: [/interop.Echo/Say] } }]
  when: [{ key: "request.headers[x-team]", values: [red] }]`,
      ),
    );
    await world.plane.waitApplied();
    const port = await freePort();
    await peer.serve({ name: 'guarded', address: `127.0.0.1:${port}`, mtls: true });
    world.configure('guarded', grpcService('guarded.mesh', [{ port }]));
    const target = 'xds:///guarded.mesh:8080';
    const red = { 'x-team': 'red' };
    expect(await peer.tally({ target, metadata: red })).toEqual({ guarded: 1 });
    expect(await peer.tally({ target, metadata: { 'x-team': 'blue' } })).toEqual({ 7: 1 });
    expect(await peer.tally({ target, metadata: red, method: 'Other' })).toEqual({ 7: 1 });
  });

  test('with mTLS: by the identity of who calls', async () => {
    const port = await freePort();
    world.configure(
      'strict',
      istio(
        'PeerAuthentication',
        'guarded',
        `selector: { matchLabels: { app: guarded } }
mtls: { mode: PERMISSIVE }
portLevelMtls: { ${port}: { mode: STRICT } }`,
      ),
    );
    world.configure(
      'guard',
      policy(
        'guard',
        `action: ALLOW
rules: [{ from: [{ source: { principals: [cluster.local/ns/default/sa/shop] } }] }]`,
      ),
    );
    await world.plane.waitApplied();
    await peer.serve({ name: 'secret', address: `127.0.0.1:${port}`, mtls: true });
    world.configure(
      'secret',
      grpcService('secret.mesh', [{ port, serviceAccount: 'shop' }]) +
        rules('secret.mesh', '{ tls: { mode: ISTIO_MUTUAL } }'),
    );
    const call = { target: 'xds:///secret.mesh:8080', mtls: true };
    expect(await peer.tally(call)).toEqual({ secret: 1 });
    expect(await other.tally(call)).toEqual({ 7: 1 });
  });

  test('nothing of all this was refused', async () => {
    await eventually('an end', () => world.unsettled().length === 0);
    expect([peer.stderr, other.stderr]).toEqual(['', '']);
  });
});
