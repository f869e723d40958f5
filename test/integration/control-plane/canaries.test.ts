import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { createControlPlane, createMemorySource } from '../../../src/control-plane.js';
import { createTextLogger } from '../../../src/runtime/log.js';
import { testIssuer } from '../../unit/control-plane/access/tokens.js';

const issuer = testIssuer('https://issuer.test');
const random = () => randomBytes(24).toString('base64url');

/** A line of a private key that nobody else has. */
function keyWithCanary() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { pem, canary: pem.split('\n')[5] ?? '' };
}

const secretDocument = (pem: string, password: string) => `
apiVersion: v1
kind: Secret
metadata: { name: gateway, namespace: default }
stringData:
  password: ${password}
  tls.key: |
${pem
  .trim()
  .split('\n')
  .map((line) => `    ${line}`)
  .join('\n')}
`;

test('200 planted secrets are in no log, error, audit line, metric or answer', async () => {
  const canaries: string[] = [];
  const plant = (text = random()) => {
    canaries.push(text);
    return text;
  };
  let seen = '';
  const look = (...values: unknown[]) => {
    for (const value of values)
      seen += `${typeof value === 'string' ? value : inspect(value, { depth: 9 })}\n`;
  };
  const dataDir = await mkdtemp(join(tmpdir(), 'inmesh-canary-'));
  const viewerToken = plant();
  const tokenFile = join(dataDir, 'viewer');
  await writeFile(tokenFile, viewerToken, { mode: 0o600 });
  const key = keyWithCanary();
  plant(key.canary);
  const password = plant();
  const plane = await createControlPlane({
    ports: { secureXds: 0, http: 0, metrics: 0 },
    dataDir,
    sources: [createMemorySource(secretDocument(key.pem, password))],
    callers: {
      loopback: false,
      oidc: [
        {
          issuer: issuer.issuer,
          jwks: issuer.jwks,
          audiences: ['inmesh'],
          identities: [{ id: 'spiffe://cluster.local/ns/default/sa/{sub}' }],
        },
      ],
    },
    admin: { roles: [{ role: 'viewer', tokenFile }] },
    logger: createTextLogger((line) => look(line), 'debug'),
  });
  const adminToken = plant((await readFile(join(dataDir, 'admin.token'), 'utf8')).trim());
  const state = await readFile(join(dataDir, 'ca.json'), 'utf8');
  const caKey = /-----BEGIN PRIVATE KEY-----\\n([^\\]{64})\\n/.exec(state)?.[1];
  if (caKey === undefined) throw new Error('the key of the authority is not where it was');
  plant(caKey);
  const client = new Client(plane.addresses.secureXds, credentials.createSsl(Buffer.from(plane.rootsPem())));
  const bytes = (value: Buffer) => value;
  const call = (authorization: string) => {
    const metadata = new Metadata();
    metadata.set('authorization', authorization);
    metadata.set('x-inmesh-namespace', plant());
    return new Promise<void>((resolve) => {
      client.makeUnaryRequest(
        '/istio.v1.auth.IstioCertificateService/CreateCertificate',
        bytes,
        bytes,
        Buffer.from(random()),
        metadata,
        {},
        (error) => {
          look(error?.message ?? '', error?.stack ?? '');
          resolve();
        },
      );
    });
  };
  const ask = async (path: string, authorization: string, method = 'GET', body?: string) => {
    const response = await fetch(`http://${plane.addresses.http}${path}`, {
      method,
      headers: { authorization, 'content-type': 'application/json' },
      ...(body !== undefined && { body }),
    });
    look(await response.text(), Object.fromEntries(response.headers));
  };
  for (let round = 0; round < 12; round++) {
    const { token } = await plane.createJoinToken(`spiffe://cluster.local/ns/default/sa/w${round}`);
    look(token);
    await call(`Bearer ${plant(token.reveal())}`);
    await call(`Bearer ${plant(token.reveal())}`);
    await call(`Bearer ${plant(await issuer.sign({ sub: 'x', exp: 1, jti: random() }))}`);
    await call(`Bearer ${plant(await issuer.sign({ sub: 'a/b', exp: 9e9, jti: random() }))}`);
    await call(`Basic ${plant()}`);
    await ask('/api/status', `Bearer ${plant()}`);
    await ask('/api/join-tokens', `Basic ${plant()}`, 'POST', JSON.stringify({ serviceAccount: random() }));
    await ask(
      '/api/workloads',
      `Bearer ${adminToken}`,
      'POST',
      JSON.stringify({ id: 'x', password: plant() }),
    );
  }
  const pages = [
    '/api/status',
    '/api/config',
    '/api/workloads',
    '/debug/syncz',
    '/api/load',
    '/metrics',
    '/api/join-tokens',
  ];
  for (const page of pages) for (const token of [viewerToken, adminToken]) await ask(page, `Bearer ${token}`);
  look(await (await fetch(`http://${plane.addresses.metrics}/metrics`)).text());
  look(
    plane.status(),
    plane,
    await createControlPlane({
      ports: { secureXds: 0, http: 0 },
      admin: { roles: [{ role: 'viewer', tokenFile: `${dataDir}/none` }] },
    }).catch((error: unknown) => error),
  );
  client.close();
  await plane.close();
  look(await readFile(join(dataDir, 'audit.jsonl'), 'utf8'));
  await rm(dataDir, { recursive: true });
  const hits = canaries.filter((canary) => seen.includes(canary));
  console.info(`canaries: ${canaries.length} planted, ${hits.length} seen in ${seen.length} characters`);
  expect(hits).toEqual([]);
  expect(canaries.length).toBeGreaterThan(100);
});
