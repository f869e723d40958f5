import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createX509Bundle } from '../../src/identity/bundle.js';
import { createSettableSource, type IdentitySource } from '../../src/identity/source.js';
import type { X509Svid } from '../../src/identity/x509-svid.js';
import { NO_FEATURES, type ServerSpec } from '../../src/mesh/bootstrap/server-spec.js';
import { connectable } from '../../src/mesh/server-credentials.js';
import { systemClock } from '../../src/runtime/clock.js';
import { createTestCa, type TestCa } from '../../src/testing/test-ca.js';
import { createStreamOpener } from '../../src/xds/stream.js';
import { type EvilAds, startEvilAds } from './support/evil-ads.js';

const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';
let ca: TestCa;
let stranger: TestCa;
let dir = '';
const closers: (() => unknown)[] = [];

beforeAll(async () => {
  [ca, stranger] = await Promise.all([createTestCa(), createTestCa()]);
  dir = await mkdtemp(join(tmpdir(), 'inmesh-credentials-'));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function file(name: string, text: string): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, text);
  return path;
}

const rootsOf = (from: TestCa) => from.bundle.authorities.join('');
const keyOf = ({ privateKey }: Pick<X509Svid, 'privateKey'>) =>
  privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

/** A certificate for 127.0.0.1 and localhost, or for what the test says. */
function serverPair(from = ca, dnsNames = ['localhost'], name = 'istio-system/istiod') {
  const { pem, privateKey } = from.certificate(name, {
    names: { uris: [from.id(name).toString()], dnsNames, ips: [Uint8Array.of(127, 0, 0, 1)] },
  });
  return { cert: pem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** A server that answers each request with one byte more, and says what metadata came. */
async function serve(pair = serverPair(), clientCertificate = false): Promise<EvilAds> {
  const credentials = grpc.ServerCredentials.createSsl(
    Buffer.from(rootsOf(ca)),
    [{ cert_chain: Buffer.from(pair.cert), private_key: Buffer.from(pair.key) }],
    clientCertificate,
  );
  const server = await startEvilAds(
    (stream) => ({ onRequest: (bytes) => stream.send(Buffer.from([...bytes, 0])) }),
    0,
    credentials,
  );
  closers.push(() => server.kill());
  return server;
}

const spec = (port: number, change: Partial<ServerSpec> = {}): ServerSpec => ({
  target: `localhost:${port}`,
  security: { kind: 'insecure' },
  tokenFile: undefined,
  features: NO_FEATURES,
  streams: 'aggregated',
  protocol: 'sotw',
  keepaliveMs: 30_000,
  ...change,
});

/** The first answer, or the error that ended the stream. */
async function ask(server: ServerSpec, identity: IdentitySource = createSettableSource()): Promise<string> {
  const { target, credentials } = connectable(server, { identity, clock: systemClock, random: () => 0.5 });
  const open = createStreamOpener({ target, credentials, clock: systemClock, connectTimeoutMs: 5000 });
  let settle: (text: string) => void = () => {};
  const answer = new Promise<string>((resolve) => {
    settle = resolve;
  });
  try {
    const stream = await open(METHOD, {
      onReady: () => {},
      onMessage: (message) => settle(`answer of ${message.length}`),
      onEnd: (error) => settle(error.message),
    });
    closers.push(() => stream.close());
    stream.send(new Uint8Array(2));
    return await answer;
  } catch (error) {
    return String(error);
  }
}

const tls = (files: Partial<{ caFile: string; certificateFile: string; keyFile: string }>) =>
  ({ kind: 'tls', caFile: undefined, certificateFile: undefined, keyFile: undefined, ...files }) as const;

describe('credentials of the control plane', () => {
  test('TLS: a server of the right roots and name is taken, every other refused', async () => {
    const caFile = await file('ca.pem', rootsOf(ca));
    const { port } = await serve();
    expect(await ask(spec(port, { security: tls({ caFile }) }))).toBe('answer of 3');
    expect(
      await ask(spec(port, { security: tls({ caFile: await file('other.pem', rootsOf(stranger)) }) })),
    ).toMatch(/certificate|signature/i);
    // The roots of the platform do not know it.
    expect(await ask(spec(port, { security: tls({}) }))).toMatch(/certificate/i);
    const wrong = await serve(serverPair(ca, ['elsewhere.example']));
    expect(await ask(spec(wrong.port, { security: tls({ caFile }) }))).toMatch(/altnames/i);
    expect(await ask(spec(port, { security: tls({ caFile: join(dir, 'none.pem') }) }))).toMatch(
      /INMESH_IDENTITY_UNAVAILABLE/,
    );
  });

  test('mTLS: the client proves itself by its files, which are read again for each connection', async () => {
    const { port } = await serve(serverPair(), true);
    const caFile = await file('ca.pem', rootsOf(ca));
    expect(await ask(spec(port, { security: tls({ caFile }) }))).toMatch(/INMESH_CONTROL_PLANE_UNAVAILABLE/);
    const bad = stranger.certificate('default/a', {});
    const certificateFile = await file('cert.pem', bad.pem);
    const keyFile = await file('key.pem', keyOf(bad));
    const server = spec(port, { security: tls({ caFile, certificateFile, keyFile }) });
    const { target, credentials } = connectable(server, {
      identity: createSettableSource(),
      clock: systemClock,
      random: () => 0.5,
    });
    const open = createStreamOpener({ target, credentials, clock: systemClock });
    const attempt = () =>
      new Promise<string>((resolve) => {
        open(METHOD, {
          onReady: () => {},
          onMessage: () => resolve('answer'),
          onEnd: (error) => resolve(error.code),
        }).then((stream) => {
          closers.push(() => stream.close());
          stream.send(new Uint8Array(2));
        }, resolve);
      });
    expect(await attempt()).toBe('INMESH_CONTROL_PLANE_UNAVAILABLE');
    const good = ca.certificate('default/a', {});
    await file('cert.pem', good.pem);
    await file('key.pem', keyOf(good));
    expect(await attempt()).toBe('answer');
  });

  test('a token goes along with each stream, and none in its place ends the attempt', async () => {
    const seen: unknown[] = [];
    const caFile = await file('ca.pem', rootsOf(ca));
    const pair = serverPair();
    const server = await startEvilAds(
      (stream, metadata) => {
        seen.push(...(metadata?.get('authorization') ?? []));
        return { onRequest: (bytes) => stream.send(Buffer.from(bytes)) };
      },
      0,
      grpc.ServerCredentials.createSsl(null, [
        { cert_chain: Buffer.from(pair.cert), private_key: Buffer.from(pair.key) },
      ]),
    );
    closers.push(() => server.kill());
    const claims = Buffer.from(JSON.stringify({ exp: Date.now() / 1000 + 3600 })).toString('base64url');
    const tokenFile = await file('token', `e30.${claims}.c2ln\n`);
    expect(await ask(spec(server.port, { security: tls({ caFile }), tokenFile }))).toBe('answer of 2');
    expect(seen).toEqual([`Bearer e30.${claims}.c2ln`]);
    expect(
      await ask(spec(server.port, { security: tls({ caFile }), tokenFile: join(dir, 'no-token') })),
    ).toMatch(/INMESH_TOKEN_UNAVAILABLE/);
    expect(seen).toHaveLength(1);
  });

  test('mesh: both sides prove their SPIFFE IDs; only the control plane’s is taken for it', async () => {
    const { port } = await serve(serverPair(ca, ['whatever.example']), true);
    const mesh = { kind: 'mesh', serverIds: ['/ns/istio-system/sa/istiod'] } as const;
    expect(await ask(spec(port, { security: mesh }), ca.source('default/a'))).toBe('answer of 3');
    const workload = await serve(serverPair(ca, ['localhost'], 'default/mallory'), true);
    expect(await ask(spec(workload.port, { security: mesh }), ca.source('default/a'))).toMatch(
      /sa\/mallory, which is not an identity expected here/,
    );
    // Without an identity of its own there is nobody to speak as.
    expect(await ask(spec(port, { security: mesh }))).toMatch(/INMESH_IDENTITY_UNAVAILABLE/);
    // Roots of the mesh do not vouch for strangers.
    const other = createSettableSource({
      svid: ca.svid('default/a'),
      bundles: [createX509Bundle('cluster.local', rootsOf(stranger))],
    });
    expect(await ask(spec(port, { security: mesh }), other)).toMatch(/INMESH_CONTROL_PLANE_UNAVAILABLE/);
  });

  test('what is no gRPC server, or none at all, ends the attempt with its reason', async () => {
    const caFile = await file('ca.pem', rootsOf(ca));
    const listen = async (server: ReturnType<typeof createServer>) => {
      const sockets = new Set<Socket>();
      server.on('connection', (socket) => sockets.add(socket));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
      closers.push(() => {
        for (const socket of sockets) socket.destroy();
        server.close();
      });
      const address = server.address();
      return typeof address === 'object' ? (address?.port ?? 0) : 0;
    };
    const garbage = await listen(
      createServer((socket) => socket.on('error', () => {}).write('HTTP/1.1 200 OK\r\n\r\n')),
    );
    const reset = await listen(createServer((socket) => socket.resetAndDestroy()));
    const notH2 = await listen(
      createTlsServer({ ...serverPair() }, (socket) => socket.on('error', () => {}).end('hello')),
    );
    for (const port of [garbage, reset]) {
      expect(await ask(spec(port))).toMatch(/INMESH_CONTROL_PLANE_UNAVAILABLE/);
      expect(await ask(spec(port, { security: tls({ caFile }) }))).toMatch(
        /INMESH_CONTROL_PLANE_UNAVAILABLE/,
      );
    }
    expect(await ask(spec(notH2, { security: tls({ caFile }) }))).toMatch(/INMESH_CONTROL_PLANE_UNAVAILABLE/);
  });
});
