import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { createDispatchingFetch } from '../../../src/bindings/undici/fetch/create-fetch.js';
import type { IdentitySource } from '../../../src/identity/source.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { startInbound } from '../inbound/support.js';
import { writeResponse } from '../support/ads-state.js';
import { startEvilAds } from '../support/evil-ads.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';
import { ControlPlaneProcess, eventually, joinQuietly, serveAs, TemporaryFolder } from './support.js';

const closers: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** The codes of an error and of its causes, outermost first. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    codes.push(MeshError.is(at) ? at.code : at.constructor.name);
  }
  return codes;
}

/** The first mesh error among an error and its causes: what a caller looks for. */
function meshErrorOf(error: unknown): MeshError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (MeshError.is(at)) return at;
  return undefined;
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

const GOOD = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec:
  host: reviews
  subsets:
    - { name: v1, labels: { version: v1 } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
    - route:
        - destination: { host: reviews, subset: v1 }
`;

const BAD = [
  {
    what: 'broken YAML',
    text: 'apiVersion: v1\nkind: Service\nmetadata: {name: a\n',
    code: 'INMESH_CONFIG_SYNTAX',
    place: /mesh\.yaml:\d+:\d+/,
    says: '^',
  },
  {
    what: 'an unknown kind',
    text: GOOD.replace('kind: VirtualService', 'kind: VirtualServce'),
    code: 'INMESH_CONFIG_UNKNOWN_KIND',
    place: /mesh\.yaml:10:7/,
    says: 'did you mean "VirtualService"?',
  },
  {
    what: 'an unknown field',
    text: GOOD.replace('    - route:', '    - rout:'),
    code: 'INMESH_CONFIG_UNKNOWN_FIELD',
    place: /mesh\.yaml:15:7/,
    says: 'did you mean "route"?',
  },
  {
    what: 'a reference to a missing subset',
    text: GOOD.replace('subset: v1', 'subset: v9'),
    code: 'INMESH_CONFIG_REFERENCE',
    place: /mesh\.yaml:16:49/,
    says: 'v9',
  },
];

interface Status {
  readonly revision: number;
  readonly rejected?: { readonly violations: readonly { readonly code: string }[] };
}

async function statusOf(plane: ControlPlaneProcess): Promise<Status> {
  const response = await fetch(`http://${plane.addresses.http}/api/status`);
  // The status API's own form.
  return (await response.json()) as Status;
}

describe('a control plane with bad configuration', () => {
  test.each(BAD)('$what at the start: it says where, and runs', async ({ text, code, place, says }) => {
    const folder = new TemporaryFolder();
    closers.push(() => folder.remove());
    const plane = await ControlPlaneProcess.start(['--config', folder.write('mesh.yaml', text)]);
    closers.push(() => plane.stop());
    const status = await statusOf(plane);
    expect(status.revision).toBe(0);
    expect(status.rejected?.violations.map((one) => one.code)).toEqual([code]);
    expect(plane.stderr()).toMatch(place);
    expect(plane.stderr()).toContain(says);
    // One clear error: told once, with the line and a caret under the place.
    expect(plane.stderr().split(code)).toHaveLength(2);
    expect(plane.stderr()).toMatch(/^ +\d+ \| .*\n +\| *\^/m);
  });

  test('at a change: the revision before stays in force, and the next good one is taken', async () => {
    const folder = new TemporaryFolder();
    closers.push(() => folder.remove());
    const plane = await ControlPlaneProcess.start(['--config', folder.write('mesh.yaml', GOOD)]);
    closers.push(() => plane.stop());
    const { xds: controlPlane } = plane.addresses;
    const member = await serveAs({ service: 'reviews', version: 'v1', controlPlane }, (_, response) =>
      response.end('v1'),
    );
    closers.push(() => member.mesh.close());
    const client = await joinQuietly({ service: 'client', controlPlane });
    closers.push(() => client.close());
    const answer = async () => (await client.fetch('http://reviews/')).text();
    await eventually('the service answers', async () => (await answer()) === 'v1');
    const { revision } = await statusOf(plane);
    for (const { text, code } of BAD) {
      folder.write('mesh.yaml', text);
      const status = await eventually(`${code} is told`, async () => {
        const now = await statusOf(plane);
        return now.rejected?.violations[0]?.code === code && now;
      });
      expect(status.revision).toBe(revision);
      expect(await answer()).toBe('v1');
    }
    folder.write('mesh.yaml', GOOD.replace('[reviews]', '[reviews, other]'));
    const status = await eventually('a good one is taken', async () => {
      const now = await statusOf(plane);
      return now.rejected === undefined && now;
    });
    expect(status.revision).toBeGreaterThan(revision);
    expect(await answer()).toBe('v1');
  });

  test('a path that does not exist ends the command with a code and what to do', async () => {
    const error = await failureOf(ControlPlaneProcess.start(['--config', '/nonexistent/mesh.yaml']));
    expect(String(error)).toMatch(
      /ended with 2: INMESH_CONFIG_READ: \/nonexistent\/mesh\.yaml does not exist\. Give/,
    );
  });
});

describe('a port in use', () => {
  async function occupied(): Promise<number> {
    const server = createTcpServer().listen(0, '127.0.0.1');
    closers.push(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    // A TCP server has an AddressInfo.
    return (server.address() as AddressInfo).port;
  }

  test.each([['xds'], ['secureXds'], ['http']])(
    'of the control plane (%s) ends the command with one error',
    async (name) => {
      const free = { xds: ':0', secureXds: ':0', http: ':0' };
      const port = await occupied();
      const error = await failureOf(ControlPlaneProcess.start([], { ...free, [name]: `:${port}` }));
      expect(String(error)).toMatch(
        new RegExp(`ended with 2: INMESH_PORT_IN_USE: .*127\\.0\\.0\\.1:${port}.*0 takes any free one\\n$`),
      );
    },
  );

  test('of a service is told by mesh.listen, and the same server can listen elsewhere', async () => {
    const plane = await ControlPlaneProcess.start([]);
    closers.push(() => plane.stop());
    const first = await serveAs({ service: 'a', controlPlane: plane.addresses.xds }, (_, response) =>
      response.end('a'),
    );
    closers.push(() => first.mesh.close());
    const error = await failureOf(first.mesh.listen(first.server, first.port));
    expect(codesOf(error)).toEqual(['INMESH_OPTION_INVALID']);
    const { createServer } = await import('node:http');
    const server = createServer((_, response) => response.end('b'));
    const refused = await failureOf(first.mesh.listen(server, first.port));
    expect(codesOf(refused)).toEqual(['INMESH_PORT_IN_USE', 'Error']);
    expect(await first.mesh.listen(server, 0)).toMatchObject({ address: '127.0.0.1' });
  });
});

describe('a control plane that answers garbage', () => {
  const tcp = async (talk: (socket: Socket) => void) => {
    const sockets = new Set<Socket>();
    const server = createTcpServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      talk(socket);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    closers.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    // A TCP server has an AddressInfo.
    return (server.address() as AddressInfo).port;
  };

  const noise = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919 + 13) % 251));
  test.each<[string, (socket: Socket) => void]>([
    ['closes', (socket) => socket.destroy()],
    ['sends noise', (socket) => socket.end(noise)],
    ['says nothing', (socket) => socket.resume()],
    ['echoes', (socket) => socket.pipe(socket)],
    [
      'speaks HTTP/1.1',
      (socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    ],
  ])('TCP that %s: requests fail with one code, the rest works', async (_, talk) => {
    const port = await tcp(talk);
    const outside = await startInbound((_request, response) => response.end('outside'), { mode: 'disable' });
    closers.push(() => outside.close());
    const mesh = await joinQuietly({
      service: 'client',
      controlPlane: `127.0.0.1:${port}`,
      startupTimeoutMs: 50,
      configurationTimeoutMs: 400,
    });
    closers.push(() => mesh.close());
    expect(await (await mesh.fetch(outside.url)).text()).toBe('outside');
    const error = await failureOf(mesh.fetch('http://reviews/'));
    expect(codesOf(error).slice(0, 2)).toEqual(['TypeError', 'INMESH_CONTROL_PLANE_UNAVAILABLE']);
    expect(meshErrorOf(error)?.hint).toContain('npx inmesh dev');
    expect(mesh.status()).toMatchObject({ configuration: 'none', identity: undefined });
  });

  test('xDS that cannot be read: it is refused, told, and nothing comes in force', async () => {
    const told: string[] = [];
    const seen: string[] = [];
    const ads = await startEvilAds((stream) => ({
      onRequest: (bytes) => {
        seen.push(String(bytes.length));
        const typeUrl = 'type.googleapis.com/envoy.config.listener.v3.Listener';
        const nonce = String(seen.length);
        if (seen.length === 1) stream.send(noise);
        else stream.send(writeResponse({ typeUrl, version: nonce, nonce, resources: [[typeUrl, noise]] }));
      },
    }));
    closers.push(() => ads.kill());
    const mesh = await joinQuietly({
      service: 'client',
      controlPlane: `127.0.0.1:${ads.port}`,
      startupTimeoutMs: 50,
      configurationTimeoutMs: 2500,
      observers: [{ rejected: ({ message }) => told.push(message) }],
    });
    closers.push(() => mesh.close());
    const error = await failureOf(mesh.fetch('http://reviews/'));
    expect(codesOf(error).slice(0, 2)).toEqual(['TypeError', 'INMESH_CONTROL_PLANE_UNAVAILABLE']);
    expect(told.some((message) => message.startsWith('INMESH_XDS_DECODE'))).toBe(true);
    expect(seen.length).toBeLessThan(50);
    expect(mesh.status().configuration).toBe('none');
  });
});

describe('an identity that does not hold', () => {
  /** What the caller of fetch gets from a server of the mesh with the given identities at both ends. */
  async function callWith(
    client: IdentitySource,
    server: IdentitySource,
    expected: string,
  ): Promise<unknown> {
    const inbound = await startInbound((_, response) => response.end('hello'), {
      mode: 'strict',
      identity: server,
    });
    closers.push(() => inbound.close());
    const tls = {
      mode: 'mesh',
      sni: undefined,
      alpn: [],
      subjectAltNames: [{ kind: 'exact', value: expected, ignoreCase: false }],
    } as const;
    const snapshot = snapshotOf(
      [host('reviews:80', [forward('reviews')])],
      [cluster('reviews', [endpoint(inbound.port)], { tls })],
    );
    const mesh = createStaticMesh(snapshot, {}, client);
    closers.push(() => mesh.close());
    return failureOf(createDispatchingFetch(new MeshDispatcher(mesh))('http://reviews/'));
  }

  const ID = 'spiffe://cluster.local/ns/default/sa/reviews';

  test('an expired server certificate is INMESH_CERTIFICATE_EXPIRED', async () => {
    const ca = await createTestCa();
    const error = await callWith(ca.source('client'), ca.expiredSource('reviews'), ID);
    expect(codesOf(error).slice(0, 2)).toEqual(['TypeError', 'INMESH_CERTIFICATE_EXPIRED']);
    expect(meshErrorOf(error)?.hint).toContain('clocks of both machines');
  });

  test('an expired certificate of our own is INMESH_CERTIFICATE_EXPIRED, before any byte is sent', async () => {
    const ca = await createTestCa();
    const error = await callWith(ca.expiredSource('client'), ca.source('reviews'), ID);
    expect(codesOf(error).slice(0, 2)).toEqual(['TypeError', 'INMESH_CERTIFICATE_EXPIRED']);
    expect(meshErrorOf(error)?.message).toContain('of this workload');
  });

  test('another trust domain is INMESH_TRUST_DOMAIN', async () => {
    const [ours, theirs] = [await createTestCa(), await createTestCa({ trustDomain: 'other.example' })];
    const error = await callWith(ours.source('client'), theirs.source('reviews'), ID);
    expect(codesOf(error).slice(0, 2)).toEqual(['TypeError', 'INMESH_TRUST_DOMAIN']);
    expect(meshErrorOf(error)?.hint).toMatch(/same control plane|bundle/);
  });

  test('the right trust domain from another authority is INMESH_TRUST_DOMAIN', async () => {
    const [ours, theirs] = [await createTestCa(), await createTestCa()];
    const error = await callWith(ours.source('client'), theirs.source('reviews'), ID);
    expect(codesOf(error).slice(0, 2)).toEqual(['TypeError', 'INMESH_TRUST_DOMAIN']);
  });

  test('another identity than the service has is INMESH_PEER_IDENTITY', async () => {
    const ca = await createTestCa();
    const error = await callWith(ca.source('client'), ca.source('ratings'), ID);
    expect(codesOf(error).slice(0, 2)).toEqual(['TypeError', 'INMESH_PEER_IDENTITY']);
    expect(meshErrorOf(error)?.message).toContain('/sa/ratings');
    expect(meshErrorOf(error)?.hint).toContain('subjectAltNames');
  });

  test('no identity at all is INMESH_IDENTITY_UNAVAILABLE', async () => {
    const ca = await createTestCa();
    const nobody: IdentitySource = {
      svid: () => undefined,
      bundle: () => undefined,
      onUpdate: () => () => {},
    };
    const error = await callWith(nobody, ca.source('reviews'), ID);
    expect(codesOf(error).slice(0, 2)).toEqual(['TypeError', 'INMESH_IDENTITY_UNAVAILABLE']);
  });
});
