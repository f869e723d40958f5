import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { createSecureContext, type TLSSocket } from 'node:tls';
import { request } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import type { Cluster } from '../../../src/model/cluster.js';
import type { UpstreamTls } from '../../../src/model/tls.js';
import { createTestCa, type TestCa, type TestCertificateChanges } from '../../../src/testing/test-ca.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';

const [ca, otherCa] = [await createTestCa(), await createTestCa()];
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function pair(changes: TestCertificateChanges, from: TestCa = ca): { cert: string; key: string } {
  const { pem, privateKey } = from.certificate('default', changes);
  return { cert: pem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

const rootsOf = (one: TestCa) => one.bundle.authorities.join('\n');

/** A folder with files that are replaced as a whole. */
function folder() {
  const path = mkdtempSync(joinPath(tmpdir(), 'inmesh-'));
  closing.push(() => rmSync(path, { recursive: true }));
  return (name: string, text: string) => {
    const file = joinPath(path, name);
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
    return { kind: 'file', path: file } as const;
  };
}

/** A server that tells the common name of its client, and closes each connection after its answer. */
async function serve(options: ServerOptions): Promise<number> {
  const server: Server = createHttpsServer(options, (incoming, response) => {
    const socket = incoming.socket as TLSSocket;
    response.setHeader('connection', 'close');
    response.end(`${socket.getPeerCertificate().subjectaltname ?? 'nobody'} ${socket.getProtocol()}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  // A TCP server has this form of address.
  return (server.address() as AddressInfo).port;
}

function join(port: number, change: Partial<UpstreamTls>, more: Partial<Cluster> = {}) {
  const tls: UpstreamTls = {
    mode: 'simple',
    sni: 'secure.example.com',
    subjectAltNames: [],
    alpn: [],
    ...change,
  };
  const mesh = createStaticMesh(
    snapshotOf(
      [host('reviews:80', [forward('reviews')])],
      [cluster('reviews', [endpoint(port)], { tls, ...more })],
    ),
  );
  const dispatcher = new MeshDispatcher(mesh);
  closing.push(() => mesh.close());
  closing.push(() => dispatcher.destroy());
  return async (hostHeader = 'reviews') => {
    try {
      const headers = { host: hostHeader };
      return await (await request('http://reviews/', { dispatcher, headers })).body.text();
    } catch (error) {
      return (error as { code?: string }).code;
    }
  };
}

const SECURE = { names: { dnsNames: ['secure.example.com'] } };
const exactly = (value: string) => [{ kind: 'exact', value, ignoreCase: false }] as const;

describe('TLS outside of the mesh', () => {
  test('roots and a client certificate from files; both are used anew when the files change', async () => {
    const write = folder();
    const serverCa = `${rootsOf(ca)}\n${rootsOf(otherCa)}`;
    const port = await serve({ ...pair(SECURE), ca: serverCa, requestCert: true });
    const client = (name: string, from?: TestCa) => pair({ names: { dnsNames: [name] } }, from);
    const first = client('first');
    const roots = write('ca.pem', rootsOf(ca));
    const certificate = { chain: write('cert.pem', first.cert), key: write('key.pem', first.key) };
    const ask = join(port, { roots, certificate });
    expect(await ask()).toBe('DNS:first TLSv1.3');
    const second = client('second', otherCa);
    write('cert.pem', second.cert);
    // The key does not fit yet: what worked goes on.
    expect(await ask()).toBe('DNS:first TLSv1.3');
    write('key.pem', second.key);
    expect(await ask()).toBe('DNS:second TLSv1.3');
    write('ca.pem', rootsOf(otherCa));
    expect(await ask()).toMatch(/^(UNABLE_TO_|SELF_SIGNED)/);
  });

  test('a file that is not there fails the connection and is found when it comes', async () => {
    const write = folder();
    const port = await serve(pair(SECURE));
    const { path } = write('ca.pem', '');
    rmSync(path);
    const ask = join(port, { roots: { kind: 'file', path } });
    expect(await ask()).toBe('ENOENT');
    write('ca.pem', rootsOf(ca));
    expect(await ask()).toBe('nobody TLSv1.3');
  });

  const roots = { kind: 'inline', pem: rootsOf(ca) } as const;

  test.each<[string, Partial<UpstreamTls>, string | RegExp]>([
    ['the name that is asked for', {}, 'nobody TLSv1.3'],
    ['another name', { sni: 'other.example.com' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['nobody’s word', { roots: 'none', sni: 'other.example.com' }, 'nobody TLSv1.3'],
    ['another root', { roots: { kind: 'inline', pem: rootsOf(otherCa) } }, /^(UNABLE_TO_|SELF_SIGNED)/],
    [
      'a name that is allowed',
      { sni: 'x.example.com', subjectAltNames: exactly('secure.example.com') },
      'nobody TLSv1.3',
    ],
    [
      'none that is allowed',
      { subjectAltNames: exactly('other.example.com') },
      'ERR_TLS_CERT_ALTNAME_INVALID',
    ],
    ['the SNI alone', { subjectAltNames: exactly('other.example.com'), matchSni: true }, 'nobody TLSv1.3'],
    [
      'TLS 1.2 at most',
      { maxVersion: 'TLSv1.2', ciphers: ['ECDHE-ECDSA-AES128-GCM-SHA256'] },
      'nobody TLSv1.2',
    ],
  ])('the server is judged by %s', async (_name, change, answer) => {
    const port = await serve(pair(SECURE));
    expect(await join(port, { roots, ...change })()).toEqual(
      typeof answer === 'string' ? answer : expect.stringMatching(answer),
    );
  });

  test.each([
    ['*.example.com', 'a.example.com', true],
    ['*.example.com', 'a.b.example.com', false],
    ['*.example.com', 'example.com', false],
    ['s*e.example.com', 'secure.example.com', true],
  ])('a certificate of %s for the exact name %s: %j', async (dnsName, wanted, isAllowed) => {
    const port = await serve(pair({ names: { dnsNames: [dnsName] } }));
    const answer = await join(port, { roots, subjectAltNames: exactly(wanted) })();
    expect(answer === 'nobody TLSv1.3').toBe(isAllowed);
  });

  test('auto_sni: the host of each request is the name that is sent, and that the server must prove', async () => {
    const port = await serve({
      SNICallback(name, done) {
        const { cert, key } = pair({ names: { dnsNames: [name === 'b.com' ? 'other.com' : name] } });
        done(null, createSecureContext({ cert, key }));
      },
    });
    const subjectAltNames = exactly('never.com');
    const ask = join(port, { roots, subjectAltNames }, { autoSni: true, autoSanValidation: true });
    expect(await ask('a.com:8080')).toBe('nobody TLSv1.3');
    expect(await ask('b.com')).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(await ask('C.com')).toBe('nobody TLSv1.3');
  });
});
