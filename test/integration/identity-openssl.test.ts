import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCertificateAuthority } from '../../src/control-plane/ca/certificate-authority.js';
import { createCsr, readCsr } from '../../src/identity/csr.js';
import { istioId } from '../../src/identity/spiffe-id.js';
import { systemClock } from '../../src/runtime/clock.js';

const run = promisify(execFile);
const hasOpenssl = await run('openssl', ['version']).then(
  () => true,
  () => false,
);

const id = istioId('cluster.local', 'default', 'reviews');
let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'inmesh-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const file = async (name: string, content: string) => {
  const path = join(dir, name);
  await writeFile(path, content);
  return path;
};
const openssl = async (...args: string[]) => {
  const { stdout, stderr } = await run('openssl', args, { cwd: dir });
  return stdout + stderr;
};

describe.runIf(hasOpenssl)('the openssl command', () => {
  test.each(['ecdsa-p256', 'rsa-2048'] as const)(
    'accepts what an %s authority issues, strictly',
    async (keyType) => {
      const authority = await createCertificateAuthority({
        trustDomain: 'cluster.local',
        clock: systemClock,
        keyType,
      });
      const { csrPem } = await createCsr(id);
      const root = await file('root.pem', authority.rootPem());
      const server = await authority.issueServer({ id, dnsNames: ['localhost'] });
      for (const chainPem of [authority.issue({ csrPem, id }).chainPem, server.chainPem]) {
        const leaf = await file('leaf.pem', chainPem[0]!);
        for (const purpose of ['sslclient', 'sslserver']) {
          const said = await openssl('verify', '-x509_strict', '-purpose', purpose, '-CAfile', root, leaf);
          expect(said).toContain(': OK');
        }
      }
      const text = await openssl(
        'x509',
        '-noout',
        '-text',
        '-in',
        await file('leaf.pem', server.chainPem[0]!),
      );
      expect(text).toContain('URI:spiffe://cluster.local/ns/default/sa/reviews');
      expect(text).toContain('CA:FALSE');
    },
  );

  test('accepts our signing requests, and we accept its', async () => {
    const ours = await file('ours.csr', (await createCsr(id)).csrPem);
    expect(await openssl('req', '-verify', '-noout', '-in', ours)).toContain('OK');
    const subject = ['-subj', '/CN=x', '-addext', 'subjectAltName=URI:spiffe://evil.test/a'];
    for (const key of [['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], ['rsa:2048']]) {
      await openssl(
        'req',
        '-new',
        '-newkey',
        ...key,
        '-nodes',
        '-keyout',
        'key.pem',
        '-out',
        'its.csr',
        ...subject,
      );
      const pem = await readFile(join(dir, 'its.csr'), 'utf8');
      expect(readCsr(pem).spkiDer.length).toBeGreaterThan(80);
    }
  });
});
