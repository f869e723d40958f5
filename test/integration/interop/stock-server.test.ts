import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { istio } from '../mesh/features-world.js';
import { eventually, TemporaryFolder } from '../mesh/support.js';
import { GrpcWorld, grpcService, rules } from './grpc-world.js';
import { StockPeer } from './stock/stock-peer.js';

let world: GrpcWorld;
let peer: StockPeer;
const folder = new TemporaryFolder();

beforeAll(async () => {
  world = await GrpcWorld.start();
  const ca = await createTestCa();
  const svid = ca.svid('default/shop');
  peer = StockPeer.start({
    controlPlane: world.plane.addresses.xds,
    id: 'sidecar~127.0.0.1~secure-1.default~default.svc.cluster.local',
    metadata: { LABELS: { app: 'secure' } },
    certificates: {
      chain: folder.write('cert.pem', svid.certificatesPem.join('')),
      key: folder.write('key.pem', svid.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
      roots: folder.write('roots.pem', ca.bundle.authorities.join('')),
    },
  });
});
afterAll(async () => {
  await peer.stop();
  await world.close();
  folder.remove();
});

/** A port that was free a moment ago: XdsServer takes no port 0. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A listening TCP server has an address of this form.
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const MUTUAL = '{ tls: { mode: ISTIO_MUTUAL } }';

describe('the stock gRPC server', () => {
  test('serves in plaintext where nothing else is asked for', async () => {
    const port = await freePort();
    await peer.serve({ name: 'plain', address: `127.0.0.1:${port}`, mtls: true });
    world.configure('plain', grpcService('plain.mesh', [{ port }]));
    expect(await peer.tally({ target: 'xds:///plain.mesh:8080', count: 3 })).toEqual({ plain: 3 });
  });

  test('speaks mTLS with a client that checks who it is', async () => {
    const port = await freePort();
    world.configure(
      'strict',
      istio(
        'PeerAuthentication',
        'secure',
        `selector: { matchLabels: { app: secure } }
mtls: { mode: PERMISSIVE }
portLevelMtls: { ${port}: { mode: STRICT } }`,
      ),
    );
    // A stock server that runs breaks when a chain of its listener gets TLS.
    await world.plane.waitApplied();
    await peer.serve({ name: 'secret', address: `127.0.0.1:${port}`, mtls: true });
    const endpoint = (serviceAccount: string) => [{ port, serviceAccount }];
    world.configure('good', grpcService('good.mesh', endpoint('shop')) + rules('good.mesh', MUTUAL));
    world.configure('other', grpcService('other.mesh', endpoint('other')) + rules('other.mesh', MUTUAL));
    world.configure(
      'open',
      grpcService('open.mesh', endpoint('shop')) + rules('open.mesh', '{ tls: { mode: DISABLE } }'),
    );
    expect(await peer.tally({ target: 'xds:///good.mesh:8080', mtls: true, count: 3 })).toEqual({
      secret: 3,
    });
    // Its identity is not the one that this service has.
    expect(await peer.tally({ target: 'xds:///other.mesh:8080', mtls: true })).toEqual({ 14: 1 });
    expect(await peer.tally({ target: 'xds:///open.mesh:8080' })).toEqual({ 14: 1 });
  });

  test('refuses nothing of all this', async () => {
    await eventually('an end', () => world.unsettled().length === 0);
    expect(peer.stderr).toBe('');
  });
});
