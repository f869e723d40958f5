import { X509Certificate } from 'node:crypto';
import { createServer as createHttpsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { request } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { crlPem } from '../../../src/control-plane/ca/certificate-authority.js';
import type { Secret } from '../../../src/model/secret.js';
import type { TlsSecrets } from '../../../src/model/tls.js';
import { createTestCa, type TestCa } from '../../../src/testing/test-ca.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';

const [ca, otherCa] = [await createTestCa(), await createTestCa()];
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const rootsOf = (one: TestCa) => one.bundle.authorities.join('\n');

function pair(name: string, from: TestCa = ca) {
  const { pem, privateKey } = from.certificate('default', { names: { dnsNames: [name] } });
  return { cert: pem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

const inline = (pem: string) => ({ kind: 'inline', pem }) as const;

function certificate(name: string): Secret {
  const { cert, key } = pair(name);
  return { kind: 'certificate', certificate: { chain: inline(cert), key: inline(key) } };
}

const validation = (from: TestCa, ...names: string[]): Secret => ({
  kind: 'validation',
  roots: inline(rootsOf(from)),
  crl: undefined,
  subjectAltNames: names.map((value) => ({ kind: 'exact', value, ignoreCase: false })),
});

/** A server that tells the names of its client, and closes each connection after its answer. */
async function serve(options: ServerOptions): Promise<number> {
  const server = createHttpsServer(options, (incoming, response) => {
    const socket = incoming.socket as TLSSocket;
    response.setHeader('connection', 'close');
    response.end(socket.getPeerCertificate().subjectaltname ?? 'nobody');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  // A TCP server has this form of address.
  return (server.address() as AddressInfo).port;
}

function join(port: number, names: TlsSecrets, secrets: Readonly<Record<string, Secret>>) {
  const tls = {
    mode: 'simple',
    sni: 'secure.example.com',
    subjectAltNames: [],
    alpn: [],
    secrets: names,
  } as const;
  const first = snapshotOf(
    [host('reviews:80', [forward('reviews')])],
    [cluster('reviews', [endpoint(port)], { tls })],
  );
  const mesh = createStaticMesh({ ...first, secrets: new Map(Object.entries(secrets)) });
  const dispatcher = new MeshDispatcher(mesh);
  closing.push(() => mesh.close());
  closing.push(() => dispatcher.destroy());
  return {
    mesh,
    supply: (next: Readonly<Record<string, Secret>>) =>
      mesh.apply({ ...first, secrets: new Map(Object.entries(next)) }),
    async ask() {
      const answer = await request('http://reviews/', { dispatcher }).catch((error: Error) => error);
      return answer instanceof Error ? `${answer.message} ${String(answer.cause)}` : answer.body.text();
    },
  };
}

describe('secrets that the control plane serves', () => {
  test('a client certificate and roots; a new certificate is used by new connections of the same cluster', async () => {
    const port = await serve({ ...pair('secure.example.com'), ca: rootsOf(ca), requestCert: true });
    const roots = validation(ca);
    const names = { certificate: 'own', validation: 'roots' };
    const { mesh, ask, supply } = join(port, names, { own: certificate('first'), roots });
    const before = mesh.clusters.get('reviews');
    expect(await ask()).toContain('DNS:first');

    supply({ own: certificate('second'), roots });
    expect(await ask()).toContain('DNS:second');
    expect(mesh.clusters.get('reviews')).toBe(before);
  });

  test('servers that the present roots or names do not vouch for are refused', async () => {
    const port = await serve(pair('secure.example.com'));
    const { ask, supply } = join(port, { validation: 'roots' }, { roots: validation(ca) });
    expect(await ask()).toBe('nobody');
    supply({ roots: validation(otherCa) });
    expect(await ask()).not.toBe('nobody');
    supply({ roots: validation(ca, 'other.example.com') });
    expect(await ask()).not.toBe('nobody');
    supply({ roots: validation(ca, 'secure.example.com') });
    expect(await ask()).toBe('nobody');
  });

  test('servers that a list of their authority took back are refused once it comes', async () => {
    const own = pair('secure.example.com');
    const port = await serve(own);
    const listed = (): Secret => ({
      kind: 'validation',
      roots: inline(rootsOf(ca)),
      crl: inline(crlPem(ca.authority.revocation.crl())),
      subjectAltNames: [],
    });
    const { ask, supply } = join(port, { validation: 'roots' }, { roots: validation(ca) });
    expect(await ask()).toBe('nobody');
    supply({ roots: listed() });
    expect(await ask()).toBe('nobody');
    const { serialNumber } = new X509Certificate(own.cert);
    await ca.authority.revocation.revoke({ kind: 'serials', value: serialNumber });
    supply({ roots: listed() });
    expect(await ask()).toMatch(/revoked/i);
  });

  test('nothing is sent while a secret is not there', async () => {
    const port = await serve(pair('secure.example.com'));
    const { ask, supply } = join(port, { validation: 'roots' }, {});
    expect(await ask()).toMatch(/the secret "roots" was not supplied/);
    supply({ roots: certificate('wrong') });
    expect(await ask()).toMatch(/is no validation context/);
    supply({ roots: validation(ca) });
    expect(await ask()).toBe('nobody');
  });
});
