import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SecretTable } from '../../../src/cluster/secret-table.js';
import { crlPem } from '../../../src/control-plane/ca/certificate-authority.js';
import { createSettableSource } from '../../../src/identity/source.js';
import type { X509Svid } from '../../../src/identity/x509-svid.js';
import { createDoor } from '../../../src/mesh/door.js';
import type { InboundPolicy } from '../../../src/mesh/inbound.js';
import type { Secret } from '../../../src/model/secret.js';
import type { DownstreamTls, PemSource } from '../../../src/model/tls.js';
import { createTestCa, type TestCa } from '../../../src/testing/test-ca.js';
import { policyOf, startInbound } from './support.js';

let mesh: TestCa;
let web: TestCa;
const folder = mkdtempSync(join(tmpdir(), 'inmesh-served-'));

beforeAll(async () => {
  [mesh, web] = await Promise.all([createTestCa(), createTestCa()]);
});
afterAll(() => rmSync(folder, { recursive: true }));

const inline = (pem: string): PemSource => ({ kind: 'inline', pem });

function pair(name: string) {
  const { pem, privateKey } = web.certificate('default', { names: { dnsNames: [name] } });
  return { chain: pem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

function served(name: string): Secret {
  const { chain, key } = pair(name);
  return { kind: 'certificate', certificate: { chain: inline(chain), key: inline(key) } };
}

/** The policy with the secret `own` in its chain. */
function withSecret(policy: InboundPolicy, change: Partial<DownstreamTls> = {}): InboundPolicy {
  const { tls } = policy;
  if (tls?.tls === undefined) throw new Error('the policy has no TLS');
  return { ...policy, tls: { ...tls, tls: { ...tls.tls, certificateSecret: 'own', ...change } } };
}

async function start(secrets: Readonly<Record<string, Secret>>) {
  const table = new SecretTable();
  const supply = (next: Readonly<Record<string, Secret>>) => table.replace(new Map(Object.entries(next)));
  supply(secrets);
  const { svid } = { svid: mesh.svid('reviews') };
  const identity = createSettableSource({ svid, bundles: [mesh.bundle] });
  const retries: (string | undefined)[] = [];
  const inbound = await startInbound(
    (request, response) => {
      retries.push(request.headers['x-envoy-max-retries']?.toString());
      response.end(String(request.headers['x-forwarded-client-cert']));
    },
    { mode: 'strict', identity, secrets: table },
  );
  inbound.policy.set(withSecret(policyOf('strict')));
  return { inbound, supply, identity, retries };
}

/** What a client of the authority sees: names in the server's certificate and the answer, or why there is none. */
function visit(
  port: number,
  client: TestCa = mesh,
  svid: X509Svid | 'nobody' = client.svid('productpage'),
): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({
      host: '127.0.0.1',
      port,
      ca: [...web.bundle.authorities, ...mesh.bundle.authorities].join('\n'),
      ...(svid !== 'nobody' && {
        cert: svid.certificatesPem.join(''),
        key: svid.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      }),
      checkServerIdentity: () => undefined,
    });
    socket.on('secureConnect', () => {
      text = `${socket.getPeerCertificate().subjectaltname} `;
      socket.write('GET / HTTP/1.1\r\nhost: a\r\nx-envoy-max-retries: 9\r\nconnection: close\r\n\r\n');
    });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1').split('\r\n')[0];
    });
    socket.on('error', () => {
      text = 'refused';
    });
    socket.on('close', () => resolve(text));
  });
}

describe('a server whose certificate comes by SDS', () => {
  test('shows it, and each newer one to the connections that come then', async ({ onTestFinished }) => {
    const { inbound, supply, identity } = await start({ own: served('first.example') });
    onTestFinished(() => inbound.close());
    expect(await visit(inbound.port)).toBe('DNS:first.example HTTP/1.1 200 OK');
    supply({ own: served('second.example') });
    expect(await visit(inbound.port)).toBe('DNS:second.example HTTP/1.1 200 OK');
    // The workload's own certificate is no reason to show that.
    identity.set({ svid: mesh.svid('reviews'), bundles: [mesh.bundle] });
    expect(await visit(inbound.port)).toBe('DNS:second.example HTTP/1.1 200 OK');
  });

  test('still lets nobody in but members of the mesh, by the roots of now', async ({ onTestFinished }) => {
    const { inbound, identity } = await start({ own: served('first.example') });
    onTestFinished(() => inbound.close());
    expect(await visit(inbound.port, web)).not.toContain('200');
    expect(await visit(inbound.port)).toContain('200 OK');
    identity.set({ svid: web.svid('reviews'), bundles: [web.bundle] });
    expect(await visit(inbound.port)).not.toContain('200');
    expect(await visit(inbound.port, web)).toBe('DNS:first.example HTTP/1.1 200 OK');
  });

  test('refuses handshakes while there is none that can be used, and says why', async ({
    onTestFinished,
  }) => {
    const { inbound, supply } = await start({});
    onTestFinished(() => inbound.close());
    expect(await visit(inbound.port)).not.toContain('200');
    expect(JSON.stringify(inbound.log)).toContain('was not supplied (SDS)');
    supply({ own: { kind: 'validation', roots: 'system', crl: undefined, subjectAltNames: [] } });
    expect(await visit(inbound.port)).not.toContain('200');
    supply({ own: { kind: 'certificate', certificate: { chain: inline('no'), key: inline('PEM') } } });
    expect(await visit(inbound.port)).not.toContain('200');
    supply({ own: served('first.example') });
    expect(await visit(inbound.port)).toBe('DNS:first.example HTTP/1.1 200 OK');
    expect(inbound.attachment.refusals.identity).toBe(3);
  });

  test('reads files of a secret again, and stays with the last that were whole', async ({
    onTestFinished,
  }) => {
    const [chain, key] = [join(folder, 'chain.pem'), join(folder, 'key.pem')];
    const write = (one: { readonly chain: string; readonly key: string }) => {
      writeFileSync(chain, one.chain);
      writeFileSync(key, one.key);
    };
    write(pair('first.example'));
    const certificate = { chain: { kind: 'file', path: chain }, key: { kind: 'file', path: key } } as const;
    const { inbound } = await start({ own: { kind: 'certificate', certificate } });
    onTestFinished(() => inbound.close());
    expect(await visit(inbound.port)).toContain('DNS:first.example');
    writeFileSync(chain, 'half');
    expect(await visit(inbound.port)).toContain('DNS:first.example');
    write(pair('second.example.org'));
    expect(await visit(inbound.port)).toContain('DNS:second.example.org');
  });
});

describe('clients with certificates of others', () => {
  const clients = { roots: undefined, secret: 'clients', subjectAltNames: [] } as const;
  const rootsAnd = (crl?: string): Secret => ({
    kind: 'validation',
    roots: inline(web.bundle.authorities.join('\n')),
    crl: crl === undefined ? undefined : inline(crl),
    subjectAltNames: [],
  });
  const listNow = () => crlPem(web.authority.revocation.crl());

  test('are refused once a list of their authority took them back, and no others', async ({
    onTestFinished,
  }) => {
    const own = served('first.example');
    const { inbound, supply } = await start({ own, clients: rootsAnd() });
    onTestFinished(() => inbound.close());
    inbound.policy.set(withSecret(policyOf('strict'), { clients }));
    const [good, bad] = [web.svid('good'), web.svid('bad')];
    const visits = async () => [
      await visit(inbound.port, web, good),
      (await visit(inbound.port, web, bad)).includes('200'),
    ];
    const ok = 'DNS:first.example HTTP/1.1 200 OK';
    expect(await visits()).toEqual([ok, true]);
    supply({ own, clients: rootsAnd(listNow()) });
    expect(await visits()).toEqual([ok, true]);
    const { serialNumber } = new X509Certificate(bad.certificatesPem[0] ?? '');
    await web.authority.revocation.revoke({ kind: 'serials', value: serialNumber });
    supply({ own, clients: rootsAnd(listNow()) });
    expect(await visits()).toEqual([ok, false]);
    await web.authority.revocation.restore({ kind: 'serials', value: serialNumber.toLowerCase() });
    supply({ own, clients: rootsAnd(listNow()) });
    expect(await visits()).toEqual([ok, true]);
  });

  test('and those with none are no members of the mesh: what steers Envoy is taken off', async ({
    onTestFinished,
  }) => {
    const { inbound, retries } = await start({ own: served('first.example'), clients: rootsAnd() });
    onTestFinished(() => inbound.close());
    const door = createDoor({ normalizePath: true, mergeSlashes: false, escapedSlashes: 'keep' });
    const use = (change: Partial<DownstreamTls>) => {
      const policy = withSecret(policyOf('strict'), change);
      inbound.policy.set({ ...policy, tls: policy.tls && { ...policy.tls, door } });
    };
    use({});
    expect(await visit(inbound.port)).toContain('200 OK');
    use({ clients });
    expect(await visit(inbound.port, web)).toContain('200 OK');
    use({ requireClientCertificate: false });
    expect(await visit(inbound.port, web, 'nobody')).toContain('200 OK');
    expect(retries).toEqual(['9', undefined, undefined]);
  });
});
