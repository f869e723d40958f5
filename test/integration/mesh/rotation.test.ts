import { createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { meshClient } from '../../../src/grpc.js';
import type { RotatingSource } from '../../../src/identity.js';
import type { Mesh } from '../../../src/index.js';
import { TestClient } from '../grpc/interop-service.js';
import { metadataOf, serveGrpc } from '../grpc/server-support.js';
import { echo, readAll } from '../tcp/support.js';
import { istio, service, World } from './features-world.js';
import { eventually, joinQuietly, wait } from './support.js';

// Certificates are renewed over and over, long before they end, so that a slow machine is no reason to fail. The form in
// which they live for ten seconds, and in which the root is replaced and an identity revoked, is bench/rotation.mjs.

let world: World;
afterEach(() => world.close());

/** Renewals of each member. */
const ROTATIONS = 6;

const DOCUMENTS =
  istio('PeerAuthentication', 'default', 'mtls: { mode: STRICT }') +
  service('http1', 80) +
  service('http2', 80) +
  istio(
    'DestinationRule',
    'http2',
    'host: http2\ntrafficPolicy: { connectionPool: { http: { h2UpgradePolicy: UPGRADE } } }',
  );

/** Counts what goes well and keeps what does not. */
class Ledger {
  sent = 0;
  readonly failures: string[] = [];
  readonly #running = new Set<Promise<void>>();

  begin(what: string, one: () => Promise<unknown>): void {
    this.sent++;
    const settled: Promise<void> = one()
      .then(
        (answer) => void (answer === true || this.failures.push(`${what}: ${String(answer)}`)),
        (error: unknown) => void this.failures.push(`${what}: ${messagesOf(error)}`),
      )
      .finally(() => this.#running.delete(settled));
    this.#running.add(settled);
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}

function messagesOf(error: unknown): string {
  return error instanceof Error ? `${error.message} <- ${messagesOf(error.cause)}` : String(error);
}

async function serveTcp(handler: (socket: Socket) => void): Promise<{ mesh: Mesh; port: number }> {
  const mesh = await joinQuietly({
    service: 'tcp',
    controlPlane: world.plane.addresses.xds,
    leaveDelayMs: 0,
  });
  const { port } = await mesh.listen(createServer({ allowHalfOpen: true }, handler), 0);
  world.onClose(() => mesh.close());
  return { mesh, port };
}

test('no exchange fails while certificates rotate: HTTP/1.1, HTTP/2, gRPC and TCP', async () => {
  world = await World.start(DOCUMENTS);
  const ok = async (service: string) =>
    (await world.serve({ service }, (_, response) => response.end('ok'))).mesh;
  const members = [await ok('http1'), await ok('http2')];
  const grpc = await serveGrpc(world, { mesh: { service: 'grpc' } });
  const tcp = await serveTcp(echo);
  const client = await world.join();
  const stub = meshClient(client, TestClient, 'grpc');
  world.onClose(async () => stub.close());
  const fetchOk = async (name: string) => {
    const response = await client.fetch(`http://${name}/`);
    return (await response.text()) === 'ok' || `status ${response.status}`;
  };
  const kinds: Readonly<Record<string, () => Promise<unknown>>> = {
    'HTTP/1.1': () => fetchOk('http1'),
    'HTTP/2': () => fetchOk('http2'),
    gRPC: () =>
      new Promise((resolve) => {
        stub.unaryCall({ responseSize: 3 }, metadataOf({}), {}, (error) =>
          resolve(error === null || error.message),
        );
      }),
    TCP: async () => {
      const socket = client.connect('tcp', tcp.port);
      socket.end('ping');
      return (await readAll(socket)).toString() === 'ping';
    },
  };
  for (const [kind, one] of Object.entries(kinds)) {
    let last: unknown;
    await eventually(`${kind} works`, async () => {
      last = await one().catch(messagesOf);
      return last === true;
    }).catch((error: unknown) => {
      throw new Error(`${messagesOf(error)}: ${String(last)}`);
    });
  }

  const meshes = [...members, grpc.mesh, tcp.mesh, client];
  const serials = meshes.map((mesh) => {
    const seen = new Set<string>();
    const note = () => seen.add(mesh.identity.svid()?.leaf.serialNumber ?? '');
    world.onClose(async () => unsubscribe());
    const unsubscribe = mesh.identity.onUpdate(note);
    note();
    return seen;
  });
  const ledger = new Ledger();
  let tick = 0;
  const timer = setInterval(() => {
    tick++;
    // Each exchange of TCP is a handshake, which costs both ends some milliseconds.
    for (const [kind, one] of Object.entries(kinds))
      if (kind !== 'TCP' || tick % 5 === 0) ledger.begin(kind, one);
  }, 25);
  for (let i = 0; i < ROTATIONS; i++) {
    // One after the other, so that old and new certificates meet in every pairing.
    for (const mesh of meshes) {
      await renew(mesh);
      await wait(20);
    }
  }
  clearInterval(timer);
  await ledger.settled();

  expect(ledger.failures.slice(0, 5)).toEqual([]);
  // The faster the machine, the sooner all have renewed.
  expect(ledger.sent).toBeGreaterThan(80);
  for (const seen of serials) expect(seen.size).toBe(ROTATIONS + 1);
});

function renew({ identity }: Mesh): Promise<void> {
  // What a mesh keeps is a source that renews.
  return (identity as RotatingSource).renewNow();
}
