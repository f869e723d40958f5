import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createMemoryCaStore } from '../../../../src/control-plane/ca/authority-life.js';
import { createCertificateAuthority } from '../../../../src/control-plane/ca/certificate-authority.js';
import type { PluggedCa } from '../../../../src/control-plane/ca/plugged-authority.js';
import { createCsr } from '../../../../src/identity/csr.js';
import { readPem } from '../../../../src/identity/pem.js';
import { istioId } from '../../../../src/identity/spiffe-id.js';
import { verifyPeer } from '../../../../src/identity/verify.js';

const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

const id = istioId('cluster.local', 'default', 'reviews');
let dir = '';
const at = (name: string) => join(dir, name);
const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });

interface Made {
  readonly name: string;
  readonly issuer?: string;
  readonly extensions: string;
  readonly key?: readonly string[];
  readonly days?: string;
}

/** Writes `<name>.pem` and `<name>.key`. */
function make({ name, issuer, extensions, key, days = '30' }: Made): void {
  openssl(
    'genpkey',
    ...(key ?? ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']),
    '-out',
    at(`${name}.key`),
  );
  writeFileSync(at(`${name}.ext`), extensions);
  openssl('req', '-new', '-key', at(`${name}.key`), '-subj', `/CN=${name}`, '-out', at(`${name}.csr`));
  const signer =
    issuer === undefined
      ? ['-signkey', at(`${name}.key`)]
      : ['-CA', at(`${issuer}.pem`), '-CAkey', at(`${issuer}.key`), '-CAcreateserial'];
  openssl(
    'x509',
    '-req',
    '-in',
    at(`${name}.csr`),
    ...signer,
    '-days',
    days,
    '-extfile',
    at(`${name}.ext`),
    '-out',
    at(`${name}.pem`),
  );
  chmodSync(at(`${name}.key`), 0o600);
}

const CA =
  'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n';

beforeAll(() => {
  if (!hasOpenssl) return;
  dir = mkdtempSync(join(tmpdir(), 'inmesh-plugged-'));
  make({ name: 'root', extensions: CA });
  make({ name: 'middle', issuer: 'root', extensions: CA });
  make({ name: 'issuing', issuer: 'middle', extensions: CA });
  make({ name: 'short', issuer: 'root', extensions: CA.replace('CA:TRUE', 'CA:TRUE,pathlen:0') });
  make({ name: 'below', issuer: 'short', extensions: CA });
  make({
    name: 'leaf',
    issuer: 'root',
    extensions: 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n',
  });
  make({ name: 'signs', issuer: 'root', extensions: CA.replace('keyCertSign,cRLSign', 'digitalSignature') });
  make({
    name: 'weak',
    issuer: 'root',
    extensions: CA,
    key: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
  });
  make({ name: 'foreign', issuer: 'root', extensions: `${CA}subjectAltName=URI:spiffe://other.test\n` });
  make({ name: 'expired', issuer: 'root', extensions: CA, days: '0' });
  make({ name: 'other', extensions: CA });
  make({ name: 'another', issuer: 'other', extensions: CA });
});
afterAll(() => {
  if (dir !== '') rmSync(dir, { recursive: true, force: true });
});

const files = (name: string, chain?: string, root = 'root'): PluggedCa => ({
  certificateFile: at(`${name}.pem`),
  keyFile: at(`${name}.key`),
  rootFile: at(`${root}.pem`),
  ...(chain !== undefined && { chainFile: at(`${chain}.pem`) }),
});

const open = (plugged: PluggedCa, store = createMemoryCaStore()) =>
  createCertificateAuthority({ trustDomain: 'cluster.local', plugged, store });

async function issuesUnder(plugged: PluggedCa): Promise<number> {
  const authority = await open(plugged);
  const { chainPem } = authority.issue({ csrPem: (await createCsr(id)).csrPem, id });
  const sent = chainPem.slice(0, -1).flatMap((pem) => readPem(pem, 'CERTIFICATE'));
  expect(verifyPeer(sent, () => authority.bundle(), { nowMs: Date.now() }).id.equals(id)).toBe(true);
  writeFileSync(at('issued.pem'), chainPem[0] ?? '');
  writeFileSync(at('between.pem'), chainPem.slice(1, -1).join('') || (chainPem[1] ?? ''));
  const said = openssl(
    'verify',
    '-x509_strict',
    '-CAfile',
    at('root.pem'),
    '-untrusted',
    at('between.pem'),
    at('issued.pem'),
  );
  expect(said.toString()).toContain(': OK');
  return chainPem.length;
}

describe.runIf(hasOpenssl)('an authority that is plugged in', () => {
  test('issues below its chain, from PEM', async () => {
    expect(await issuesUnder(files('middle'))).toBe(3);
    expect(await issuesUnder(files('issuing', 'middle'))).toBe(4);
    // The root itself.
    expect(await issuesUnder(files('root'))).toBe(2);
  });

  test('is read in the layout of Istio, with an encrypted key', async () => {
    const layout = mkdtempSync(join(dir, 'cacerts-'));
    copyFileSync(at('issuing.pem'), join(layout, 'ca-cert.pem'));
    writeFileSync(
      join(layout, 'cert-chain.pem'),
      ['issuing', 'middle', 'root'].map((one) => readFileSync(at(`${one}.pem`))).join(''),
    );
    copyFileSync(at('root.pem'), join(layout, 'root-cert.pem'));
    openssl(
      'pkcs8',
      '-topk8',
      '-v2',
      'aes-256-cbc',
      '-in',
      at('issuing.key'),
      '-passout',
      'pass:open sesame',
      '-out',
      join(layout, 'ca-key.pem'),
    );
    chmodSync(join(layout, 'ca-key.pem'), 0o600);
    expect(await issuesUnder({ cacertsDir: layout, passphrase: 'open sesame' })).toBe(4);
    await expect(open({ cacertsDir: layout })).rejects.toThrow(/INMESH_CA_KEY.*no passphrase/);
    await expect(open({ cacertsDir: layout, passphrase: 'wrong' })).rejects.toThrow(
      /its passphrase is wrong/,
    );
    await expect(open({ cacertsDir: layout, passphrase: 'wrong' })).rejects.not.toThrow(/: wrong/);
    writeFileSync(join(layout, 'pass'), 'open sesame\n', { mode: 0o600 });
    expect(await issuesUnder({ cacertsDir: layout, passphraseFile: join(layout, 'pass') })).toBe(4);
  });

  test.each([
    ['EC', 'middle', []],
    ['RSA', 'rsa', []],
    [
      'EC, in the form of before',
      'middle',
      ['-certpbe', 'PBE-SHA1-3DES', '-keypbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'],
    ],
  ])('is read from PKCS #12 (%s)', async (_, name, form) => {
    if (name === 'rsa')
      make({
        name,
        issuer: 'root',
        extensions: CA,
        key: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
      });
    const path = at(`${name}.p12`);
    openssl(
      'pkcs12',
      '-export',
      '-inkey',
      at(`${name}.key`),
      '-in',
      at(`${name}.pem`),
      '-certfile',
      at('root.pem'),
      '-passout',
      'pass:pw',
      '-out',
      path,
      ...form,
    );
    chmodSync(path, 0o600);
    expect(await issuesUnder({ pkcs12File: path, passphrase: 'pw' })).toBe(3);
    await expect(open({ pkcs12File: path, passphrase: 'no' })).rejects.toThrow(
      /INMESH_CA_KEY.*passphrase is wrong/,
    );
  });

  test.each<[string, () => PluggedCa, RegExp]>([
    [
      'a key of another certificate',
      () => ({ ...files('middle'), keyFile: at('issuing.key') }),
      /the private key belongs to none of the certificates/,
    ],
    ['no way to the root', () => files('issuing'), /the certificate of "CN=middle" is missing/],
    ['another root', () => files('middle', undefined, 'other'), /the certificate of "CN=root" is missing/],
    ['a leaf', () => files('leaf'), /"CN=leaf" is no certificate authority \(basicConstraints CA:TRUE\)/],
    ['a certificate that may not sign', () => files('signs'), /"CN=signs" may not sign certificates/],
    [
      'a chain longer than allowed',
      () => files('below', 'short'),
      /"CN=short" allows 0 authorities below it, and there are 1/,
    ],
    ['a weak key', () => files('weak'), /weak/],
    ['another trust domain', () => files('foreign'), /SPIFFE ID that is not its trust domain/],
    ['an expired certificate', () => files('expired'), /INMESH_CERTIFICATE_EXPIRED/],
    ['a file that is not there', () => files('nowhere'), /cannot be read/],
  ])('is refused with %s', async (_, plugged, message) => {
    await expect(open(plugged())).rejects.toThrow(message);
  });

  test('is refused when others can read its key', async () => {
    copyFileSync(at('middle.key'), at('open.key'));
    chmodSync(at('open.key'), 0o644);
    await expect(open({ ...files('middle'), keyFile: at('open.key') })).rejects.toThrow(
      /INMESH_CA_KEY.*open to others \(mode 644\).*chmod 600/,
    );
  });

  test('is read again when its files change: of the same root at once, of another when clients know that', async () => {
    const layout = mkdtempSync(join(dir, 'changing-'));
    const place = (name: string, chain: readonly string[], root: string) => {
      copyFileSync(at(`${name}.pem`), join(layout, 'ca-cert.pem'));
      writeFileSync(
        join(layout, 'cert-chain.pem'),
        chain.map((one) => readFileSync(at(`${one}.pem`))).join(''),
      );
      copyFileSync(at(`${root}.pem`), join(layout, 'root-cert.pem'));
      rmSync(join(layout, 'ca-key.pem'), { force: true });
      copyFileSync(at(`${name}.key`), join(layout, 'ca-key.pem'));
    };
    place('middle', [], 'root');
    const store = createMemoryCaStore();
    const authority = await open({ cacertsDir: layout }, store);
    const csr = (await createCsr(id)).csrPem;
    const chainLength = () => authority.issue({ csrPem: csr, id }).chainPem.length;
    expect(chainLength()).toBe(3);

    place('issuing', ['middle'], 'root');
    await authority.refresh();
    expect(chainLength()).toBe(4);

    place('another', [], 'other');
    await authority.refresh();
    expect(authority.status().roots.map(({ phase }) => phase)).toEqual(['active', 'distributing']);
    expect(chainLength()).toBe(4);
    await authority.rotation.activate({ force: true });
    expect(chainLength()).toBe(3);
    expect(authority.rootPem()).toBe(readFileSync(at('other.pem'), 'utf8'));
    await authority.rotation.retire({ force: true });
    expect(authority.bundle().authorities).toEqual([authority.rootPem()]);

    writeFileSync(join(layout, 'ca-cert.pem'), 'half writ');
    await authority.refresh();
    expect(chainLength()).toBe(3);

    // A root that was retired does not come back.
    place('middle', [], 'root');
    await expect(authority.refresh()).rejects.toThrow(/was retired before/);
    expect(chainLength()).toBe(3);
  });
});
