import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { authorityOf } from '../../../src/cli/authority.js';
import { type AuthorityOptions, withAuthorityOptions } from '../../../src/cli/authority-options.js';
import {
  bundleDocument,
  type ControlPlane,
  createCertificateAuthority,
  createControlPlane,
  createDirectoryCaStore,
} from '../../../src/control-plane.js';
import { silentLogger } from '../../../src/runtime/log.js';

// What `inmesh dev` and `inmesh serve` take for their authority, up to a control plane that runs with it.

const dir = mkdtempSync(join(tmpdir(), 'inmesh-cli-authority-'));
const at = (name: string) => join(dir, name);
const secret = (name: string, text: string) => writeFileSync(at(name), text, { mode: 0o600 });
let root = '';
let key = '';

beforeAll(async () => {
  const store = createDirectoryCaStore(at('made'));
  const authority = await createCertificateAuthority({ trustDomain: 'cluster.local', store });
  root = authority.rootPem();
  key =
    /-----BEGIN PRIVATE KEY-----.*-----END PRIVATE KEY-----\\n/s.exec(
      readFileSync(at('made/ca.json'), 'utf8'),
    )?.[0] ?? '';
  key = key.replaceAll('\\n', '\n');
  for (const name of ['ca-cert.pem', 'root-cert.pem']) writeFileSync(at(name), root);
  secret('ca-key.pem', key);
  secret('passphrase', 'open sesame\n');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const planes: ControlPlane[] = [];
afterEach(async () => {
  for (const plane of planes.splice(0)) await plane.close();
});

function optionsOf(...args: string[]) {
  const command = withAuthorityOptions(new Command().exitOverride().configureOutput({ writeErr: () => {} }));
  command.parse(args, { from: 'user' });
  return authorityOf(command.opts<AuthorityOptions>(), silentLogger);
}

async function start(args: readonly string[], dataDir?: string): Promise<ControlPlane> {
  const plane = await createControlPlane({
    ports: { xds: 0, secureXds: 0, http: 0 },
    ...(dataDir !== undefined && { dataDir }),
    ...(await optionsOf(...args)),
  });
  planes.push(plane);
  return plane;
}

describe('the authority of inmesh dev and inmesh serve', () => {
  test.each<[string, () => string[]]>([
    ["in Istio's layout", () => ['--ca-dir', dir]],
    [
      'in PEM',
      () => ['--ca-cert', at('ca-cert.pem'), '--ca-key', at('ca-key.pem'), '--ca-root', at('root-cert.pem')],
    ],
  ])('is one of the operator %s', async (_, args) => {
    expect((await start(args())).rootsPem()).toBe(root);
  });

  test('is one in PKCS #12, whose passphrase is in a file', async () => {
    const { certificateAuthority } = await optionsOf(
      '--ca-pkcs12',
      'ca.p12',
      '--ca-root',
      'root.pem',
      '--ca-key-passphrase-file',
      'p',
    );
    expect(certificateAuthority).toEqual({
      plugged: { pkcs12File: 'ca.p12', rootFile: 'root.pem', passphraseFile: 'p' },
    });
  });

  test('keeps its keys encrypted by a passphrase from a file', async () => {
    const data = at('encrypted');
    await start(['--ca-passphrase-file', at('passphrase')], data);
    expect(readFileSync(join(data, 'ca.json'), 'utf8')).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    await expect(start([], data)).rejects.toMatchObject({ code: 'INMESH_CA_KEY' });
  });

  test('takes passphrases from the environment', async () => {
    const before = { ...process.env };
    Object.assign(process.env, { INMESH_CA_PASSPHRASE: 'rest', INMESH_CA_KEY_PASSPHRASE: 'key' });
    try {
      expect((await optionsOf('--ca-dir', '/etc/cacerts')).certificateAuthority).toEqual({
        plugged: { cacertsDir: '/etc/cacerts', passphrase: 'key' },
        passphrase: 'rest',
      });
    } finally {
      process.env = before;
    }
  });

  test.each<[string, string[], RegExp]>([
    ['two places', ['--ca-dir', 'a', '--ca-pkcs12', 'b'], /is in one place/],
    ['a certificate without a key', ['--ca-cert', 'a'], /a certificate, a key and a root/],
    ['a root alone', ['--ca-root', 'a'], /a certificate, a key and a root/],
    ['a root beside a folder', ['--ca-dir', 'a', '--ca-root', 'b'], /--ca-root goes with/],
  ])('can not be %s', async (_, args, why) => {
    await expect(optionsOf(...args)).rejects.toThrow(why);
  });
});

describe('federation by command line', () => {
  test('publishes the bundle, and follows that of another trust domain', async () => {
    const bank = await createControlPlane({
      trustDomain: 'bank.test',
      ports: { xds: 0, secureXds: 0, http: 0 },
      ...(await optionsOf('--bundle-endpoint', '127.0.0.1:0')),
    });
    planes.push(bank);
    writeFileSync(at('bank.json'), bundleDocument(bank.certificateAuthority));
    const endpointId = 'spiffe://bank.test/ns/istio-system/sa/istiod';
    const url = `https://${bank.addresses.bundles}/`;
    const partner = { trustDomain: 'bank.test', url, endpointId, bundleFile: 'bank.json' };
    writeFileSync(at('partners.json'), JSON.stringify([partner]));
    const shop = await start(['--federation', at('partners.json')]);
    expect(shop.certificateAuthority.status().federated).toEqual(['bank.test']);
  });

  test.each<[string, string, RegExp]>([
    ['no JSON', '{', /no JSON/],
    ['no list', '{}', /no list/],
    ['a partner without URL', '[{ "trustDomain": "a" }]', /\[0\] .*no partner/],
    ['a field that is not known', '[{ "trustDomain": "a", "url": "https://a/", "x": "" }]', /no partner/],
    [
      'a file that is not there',
      '[{ "trustDomain": "a", "url": "https://a/", "rootsFile": "none.pem" }]',
      /none\.pem/,
    ],
  ])('refuses a file with %s', async (_, text, why) => {
    writeFileSync(at('broken.json'), text);
    await expect(optionsOf('--federation', at('broken.json'))).rejects.toThrow(why);
  });

  test('refuses an address without port', () => {
    expect(() => optionsOf('--bundle-endpoint', '0.0.0.0')).toThrow(/host:port/);
  });
});
