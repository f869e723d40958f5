import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createX509Bundle, type X509Bundle } from '../../src/identity/bundle.js';
import { readPem } from '../../src/identity/pem.js';
import { verifyPeer } from '../../src/identity/verify.js';
import { Oid } from '../../src/identity/x509.js';
import { parseX509Svid } from '../../src/identity/x509-svid.js';
import { MeshError } from '../../src/runtime/errors.js';
import { createTestCa, type TestCertificateChanges } from '../../src/testing/test-ca.js';

const run = promisify(execFile);
const hasOpenssl = await run('openssl', ['version']).then(
  () => true,
  () => false,
);
const ca = await createTestCa({ trustDomain: 'td.test' });
const stranger = await createTestCa({ trustDomain: 'td.test' });
const ID = 'spiffe://td.test/ns/default/sa/reviews';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'inmesh-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const file = async (name: string, content: string) => {
  await writeFile(join(dir, name), content);
  return name;
};
const openssl = async (...args: string[]) => (await run('openssl', args, { cwd: dir })).stdout;

/** What OpenSSL says of a certificate as that of a TLS client. */
async function theyAccept(pem: string, bundle: X509Bundle): Promise<boolean> {
  const root = await file('root.pem', bundle.authorities.join(''));
  const leaf = await file('leaf.pem', pem);
  const verdict = openssl('verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', root, leaf);
  return verdict.then(
    (said) => said.includes(': OK'),
    () => false,
  );
}

function weAccept(chain: readonly Uint8Array[], bundle: X509Bundle): boolean {
  try {
    verifyPeer(chain, () => bundle, { nowMs: Date.now() });
    return true;
  } catch (error) {
    if (MeshError.is(error)) return false;
    throw error;
  }
}

describe.runIf(hasOpenssl)('what we issue, and OpenSSL', () => {
  test.each<[string, TestCertificateChanges, X509Bundle]>([
    ['has expired', { notBeforeMs: Date.now() - 7_200_000, notAfterMs: Date.now() - 3_600_000 }, ca.bundle],
    ['is not valid yet', { notBeforeMs: Date.now() + 3_600_000 }, ca.bundle],
    ['is of another authority', {}, stranger.bundle],
    ['is for servers only', { extendedKeyUsage: [Oid.serverAuth] }, ca.bundle],
  ])('both refuse what %s', async (_, changes, bundle) => {
    const { pem, der } = ca.certificate('reviews', changes);
    expect([await theyAccept(pem, bundle), weAccept([der], bundle)]).toEqual([false, false]);
  });

  test.each<[string, TestCertificateChanges]>([
    ['without a SPIFFE ID', { names: { dnsNames: ['reviews.test'] } }],
    ['with two', { names: { uris: [ID, 'spiffe://td.test/admin'] } }],
    ['with one of another trust domain', { names: { uris: ['spiffe://other.test/a'] } }],
    ['with the ID of a trust domain', { names: { uris: ['spiffe://td.test'] } }],
    ['with a port in it', { names: { uris: ['spiffe://td.test:80/a'] } }],
  ])('we refuse a certificate %s, which OpenSSL accepts', async (_, changes) => {
    const { pem, der } = ca.certificate('reviews', changes);
    const bundleOf = (name: string) => (name === 'td.test' ? ca.bundle : undefined);
    expect(await theyAccept(pem, ca.bundle)).toBe(true);
    expect(() => verifyPeer([der], bundleOf, { nowMs: Date.now() })).toThrow(/INMESH_/);
  });
});

describe.runIf(hasOpenssl)('what OpenSSL issues, and we', () => {
  const issueBy = async (extensions: readonly string[]) => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const usage = [
      '-addext',
      'keyUsage=critical,keyCertSign,cRLSign',
      '-addext',
      'subjectAltName=URI:spiffe://td.test',
    ];
    await openssl(
      'req',
      '-x509',
      ...key,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-subj',
      '/CN=root',
      ...usage,
    );
    await openssl('req', ...key, '-keyout', 'svid.key', '-out', 'svid.csr', '-subj', '/CN=x');
    await file('ext.cnf', extensions.join('\n'));
    const signer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '1'];
    await openssl('x509', '-req', '-in', 'svid.csr', ...signer, '-extfile', 'ext.cnf', '-out', 'svid.pem');
    const [root, svid, svidKey] = await Promise.all(
      ['ca.pem', 'svid.pem', 'svid.key'].map((name) => readFile(join(dir, name), 'utf8')),
    );
    return { bundle: createX509Bundle('td.test', root ?? ''), svid: svid ?? '', svidKey: svidKey ?? '' };
  };
  const good = [
    `subjectAltName=URI:${ID}`,
    'keyUsage=critical,digitalSignature',
    'extendedKeyUsage=serverAuth,clientAuth',
    'basicConstraints=critical,CA:FALSE',
  ];

  test('accept it when it is an SVID', async () => {
    const { bundle, svid, svidKey } = await issueBy(good);
    expect(parseX509Svid(svid, svidKey).id.toString()).toBe(ID);
    expect(verifyPeer(readPem(svid, 'CERTIFICATE'), () => bundle, { nowMs: Date.now() }).id.toString()).toBe(
      ID,
    );
  });

  test.each([
    ['its key usage is not critical', good.map((line) => line.replace('critical,digital', 'digital'))],
    ['it has no key usage', good.filter((line) => !line.startsWith('keyUsage'))],
    ['it has no URI', good.filter((line) => !line.startsWith('subjectAltName'))],
    ['it is an authority', good.map((line) => line.replace('CA:FALSE', 'CA:TRUE'))],
    ['it is for clients only', good.map((line) => line.replace('serverAuth,', ''))],
  ])('refuse it when %s', async (_, extensions) => {
    const { bundle, svid } = await issueBy(extensions);
    expect(weAccept(readPem(svid, 'CERTIFICATE'), bundle)).toBe(false);
  });
});
