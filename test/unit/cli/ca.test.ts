import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { main } from '../../../src/cli/main.js';
import { createCertificateAuthority, createDirectoryCaStore } from '../../../src/control-plane.js';
import { createCsr } from '../../../src/identity/csr.js';
import { istioId } from '../../../src/identity/spiffe-id.js';

const dir = mkdtempSync(join(tmpdir(), 'inmesh-cli-ca-'));
const data = join(dir, 'data');
const passphraseFile = join(dir, 'passphrase');
const id = istioId('cluster.local', 'shop', 'cart');

beforeAll(async () => {
  writeFileSync(passphraseFile, 'open sesame\n', { mode: 0o600 });
  const store = createDirectoryCaStore(data);
  await createCertificateAuthority({ trustDomain: 'cluster.local', store, passphrase: 'open sesame' });
  writeFileSync(join(dir, 'cart.csr'), (await createCsr(id)).csrPem);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function ca(...args: string[]) {
  let out = '';
  let err = '';
  const output = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
    color: false,
  };
  const [command = '', ...rest] = args;
  const code = await main(['ca', command, '-d', data, '--passphrase-file', passphraseFile, ...rest], output);
  return { code, out, err };
}

const phases = async (): Promise<readonly string[]> => {
  const { out } = await ca('status', '-o', 'json');
  const { roots } = JSON.parse(out) as { roots: { phase: string }[] };
  return roots.map(({ phase }) => phase);
};

describe('inmesh ca', () => {
  test('status is a table for people, JSON and YAML for programs', async () => {
    const { out } = await ca('status');
    expect(out.split('\n')[0]).toMatch(/^KIND +PHASE +FINGERPRINT +KEY +EXPIRES +LEFT +USED$/);
    expect(out).toMatch(/^root +active +[0-9a-f]{16} +prime256v1 +\S+Z +9y36\dd +0%$/m);
    expect(parse((await ca('status', '-o', 'yaml')).out)).toMatchObject({ trustDomain: 'cluster.local' });
  });

  test('rotates: begin, wait, activate, retire; what can not be done now is 1', async () => {
    expect((await ca('retire')).code).toBe(1);
    expect((await ca('rotate', '--hold')).code).toBe(0);
    expect(await phases()).toEqual(['active', 'distributing']);
    const again = await ca('rotate');
    expect(again).toMatchObject({ code: 1, err: expect.stringContaining('a rotation is under way') });
    expect((await ca('activate')).code).toBe(0);
    // Without a control plane nobody knows what clients trust.
    expect(await phases()).toEqual(['active', 'distributing']);
    expect((await ca('activate', '--force')).code).toBe(0);
    expect(await phases()).toEqual(['retiring', 'active']);
    expect((await ca('retire', '--force')).code).toBe(0);
    expect(await phases()).toEqual(['active']);
    await ca('rotate');
    expect((await ca('rotate', '--abandon')).code).toBe(0);
    expect(await phases()).toEqual(['active']);
  });

  test('issues for a name that the operator gives, and revokes by file, serial number and name', async () => {
    const issued = await ca('issue', '--id', id.toString(), '--csr', join(dir, 'cart.csr'), '-o', 'json');
    const { serial, chain } = JSON.parse(issued.out) as { serial: string; chain: string[] };
    writeFileSync(join(dir, 'cart.pem'), chain[0] ?? '');
    const revoked = await ca(
      'revoke',
      join(dir, 'cart.pem'),
      id.toString(),
      '--reason',
      'stolen',
      '--for',
      '24h',
    );
    expect(revoked.out).toMatch(new RegExp(`^serial +${serial} .* stolen$`, 'm'));
    expect(revoked.out).toMatch(/^id +spiffe:\/\/cluster\.local\/ns\/shop\/sa\/cart /m);
    const refused = await ca('issue', '--id', id.toString(), '--csr', join(dir, 'cart.csr'));
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining('revoked') });
    expect((await ca('crl')).out).toMatch(/^-----BEGIN X509 CRL-----/);
    expect((await ca('revoke', '--undo', id.toString())).code).toBe(0);
    expect((await ca('revoke', '--undo', id.toString())).code).toBe(1);
  });

  test('prints the root and the bundle, as PEM and as a SPIFFE bundle document', async () => {
    const root = await ca('root');
    expect((await ca('bundle')).out).toBe(root.out);
    expect(JSON.parse((await ca('bundle', '--spiffe')).out)).toMatchObject({
      keys: [{ use: 'x509-svid' }],
      spiffe_sequence: expect.any(Number),
    });
  });

  test('without an authority, or with another passphrase, is 2 and says what to do', async () => {
    const empty = await ca('status', '-d', join(dir, 'empty'));
    expect(empty).toMatchObject({ code: 2, err: expect.stringContaining('inmesh dev --data') });
    writeFileSync(join(dir, 'wrong'), 'x', { mode: 0o600 });
    const wrong = await ca('root', '--passphrase-file', join(dir, 'wrong'));
    expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('passphrase is wrong') });
    writeFileSync(join(dir, 'open'), 'x', { mode: 0o644 });
    expect((await ca('root', '--passphrase-file', join(dir, 'open'))).err).toContain('chmod 600');
  });

  test.each(['status', 'root', 'rotate', 'activate', 'retire', 'import', 'revoke', 'crl', 'issue', 'bundle'])(
    'the help of %s has at least three examples',
    async (command) => {
      const { out, code } = await ca(command, '--help');
      expect(code).toBe(0);
      expect(out.match(/^ {2}\$ inmesh ca /gm)?.length).toBeGreaterThanOrEqual(3);
    },
  );
});
