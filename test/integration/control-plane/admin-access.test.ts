import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ControlPlane, createControlPlane } from '../../../src/control-plane.js';
import { createCaSource } from '../../../src/identity/ca-source.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { systemRandom } from '../../../src/runtime/random.js';
import { testIssuer } from '../../unit/control-plane/access/tokens.js';

const issuer = testIssuer('https://people.test');
const TOKENS = { viewer: 'viewer-token-0123456789', operator: 'operator-token-0123456789' };
const sha = (text: string) => createHash('sha256').update(text).digest('hex');
let folder = '';
let plane: ControlPlane;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inmesh-admin-'));
  plane = await createControlPlane({
    ports: { secureXds: 0, http: 0, metrics: 0 },
    dataDir: folder,
    callers: { loopback: false },
    admin: {
      hosts: ['mesh.test'],
      oidc: [{ issuer: issuer.issuer, jwks: issuer.jwks, audiences: ['inmesh'] }],
      roles: [
        { role: 'viewer', tokenSha256: sha(TOKENS.viewer) },
        { role: 'operator', tokenSha256: sha(TOKENS.operator) },
        { role: 'admin', issuer: issuer.issuer, when: { groups: 'mesh-admins' } },
        { role: 'viewer', issuer: issuer.issuer },
      ],
    },
  });
});

afterAll(async () => {
  await plane.close();
  await rm(folder, { recursive: true });
});

interface Ask {
  readonly method?: string;
  readonly token?: string | undefined;
  readonly body?: unknown;
}

async function ask(path: string, { method = 'GET', token, body }: Ask = {}) {
  const response = await fetch(`http://${plane.addresses.http}${path}`, {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(method !== 'GET' && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

const person = (groups: readonly string[]) =>
  issuer.sign({ sub: 'ann', groups, exp: Date.now() / 1000 + 60 });
const workload = { id: 'w', service: 'reviews', address: '127.0.0.1', port: 4001 };
const register = { method: 'POST', body: workload };
const joinToken = { method: 'POST', body: { serviceAccount: 'cart' } };

describe('the status API, where loopback is not trusted', () => {
  test('answers probes, and nobody else without proof: what is there looks like what is not', async () => {
    expect((await ask('/ready')).status).toBe(200);
    const answers = await Promise.all(
      ['/api/status', '/api/config', '/metrics', '/nothing', '/api/join-tokens', '/api/workloads/x'].map(
        (path) => ask(path),
      ),
    );
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 401 });
    expect(answers[0]?.headers.get('www-authenticate')).toBe('Bearer');
  });

  test.each(['', 'wrong', TOKENS.viewer.slice(1), `${TOKENS.viewer}x`, TOKENS.viewer.toUpperCase()])(
    'a token that is not quite one (%#) is none',
    async (token) => {
      expect((await ask('/api/status', { token })).status).toBe(401);
    },
  );

  test('a viewer reads', async () => {
    const token = TOKENS.viewer;
    expect((await ask('/api/status', { token })).status).toBe(200);
    expect((await ask('/api/config', { token })).status).toBe(200);
    const refused = await Promise.all([
      ask('/api/workloads', { ...register, token }),
      ask('/api/workloads/x', { method: 'DELETE', token }),
      ask('/api/join-tokens', { token }),
      ask('/api/join-tokens', { ...joinToken, token }),
      ask('/nothing', { method: 'POST', token }),
    ]);
    expect(new Set(refused.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(refused[0]?.status).toBe(403);
    expect(plane.status().workloads).toBe(0);
  });

  test('an operator changes workloads, and gives nobody access', async () => {
    const token = TOKENS.operator;
    expect((await ask('/api/workloads', { ...register, token })).status).toBe(200);
    expect((await ask('/api/workloads/w', { method: 'DELETE', token })).status).toBe(200);
    expect((await ask('/api/join-tokens', { ...joinToken, token })).status).toBe(403);
  });

  test('an admin gives out join tokens, which are shown once', async () => {
    const token = (await readFile(join(folder, 'admin.token'), 'utf8')).trim();
    expect((await stat(join(folder, 'admin.token'))).mode & 0o777).toBe(0o600);
    const made = await ask('/api/join-tokens', { ...joinToken, token });
    expect(made.status).toBe(201);
    const { token: text, hash, id } = JSON.parse(made.text);
    expect(id).toBe('spiffe://cluster.local/ns/default/sa/cart');
    const listed = await ask('/api/join-tokens', { token });
    expect(listed.text).toContain(hash);
    expect(listed.text).not.toContain(text);
    expect((await ask(`/api/join-tokens/${hash}`, { method: 'DELETE', token })).status).toBe(200);
    expect((await ask(`/api/join-tokens/${hash}`, { method: 'DELETE', token })).status).toBe(404);
    expect((await ask('/api/join-tokens/..%2F..%2Fca.pem', { method: 'DELETE', token })).status).toBe(404);
    for (const body of [
      {},
      { serviceAccount: 'a/b' },
      { serviceAccount: 'a', ttlMs: 1 },
      { serviceAccount: 7 },
    ])
      expect((await ask('/api/join-tokens', { method: 'POST', body, token })).status).toBe(400);
  });

  test('people have the role that their claims give them', async () => {
    const admin = await person(['x', 'mesh-admins']);
    expect((await ask('/api/join-tokens', { token: admin })).status).toBe(200);
    const viewer = await person(['x']);
    expect((await ask('/api/status', { token: viewer })).status).toBe(200);
    expect((await ask('/api/join-tokens', { token: viewer })).status).toBe(403);
    const other = await testIssuer('https://evil.test').sign({
      sub: 'ann',
      groups: ['mesh-admins'],
      exp: 9e9,
    });
    expect((await ask('/api/join-tokens', { token: other })).status).toBe(401);
  });

  test('changes and refusals are written down, tokens are not', async () => {
    const token = TOKENS.operator;
    await ask('/api/workloads', { ...register, token });
    await ask('/api/workloads/w', { method: 'DELETE', token });
    await ask('/api/join-tokens', { token });
    const text = await readFile(join(folder, 'audit.jsonl'), 'utf8');
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          action: 'workload.register',
          outcome: 'allowed',
          role: 'operator',
          actor: 'token-1',
        }),
        expect.objectContaining({
          action: 'workload.remove',
          outcome: 'allowed',
          target: '/api/workloads/w',
        }),
      ]),
    );
    for (const secret of Object.values(TOKENS)) expect(text).not.toContain(secret);
  });

  test('every answer keeps pages of others out', async () => {
    for (const path of ['/ready', '/api/status', '/nothing']) {
      const { headers } = await ask(path, { token: TOKENS.viewer });
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('access-control-allow-origin')).toBeNull();
    }
  });
});

test('the metrics port has metrics and health, and nothing else', async () => {
  const statusOf = async (path: string, method = 'GET') =>
    (await fetch(`http://${plane.addresses.metrics}${path}`, { method })).status;
  expect(await statusOf('/metrics')).toBe(200);
  expect(await statusOf('/ready')).toBe(200);
  expect(await statusOf('/api/status')).toBe(404);
  expect(await statusOf('/metrics', 'POST')).toBe(405);
});

test('on another address than loopback it is HTTPS, and a certificate can have a role', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'inmesh-admin-'));
  const other = await createControlPlane({
    ports: { secureXds: 0, http: 0 },
    dataDir,
    names: ['0.0.0.0'],
    callers: { loopback: false },
    admin: { host: '0.0.0.0', roles: [{ role: 'operator', spiffeId: 'spiffe://cluster.local/ns/ops/*' }] },
  });
  const { token } = await other.createJoinToken('spiffe://cluster.local/ns/ops/sa/robot');
  const source = createCaSource({
    target: other.addresses.secureXds,
    identity: { namespace: 'ops', serviceAccount: 'robot' },
    credentials: (grpc) => grpc.credentials.createSsl(Buffer.from(other.rootsPem())),
    callMetadata: () => Promise.resolve({ authorization: `Bearer ${token.reveal()}` }),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
  });
  await source.ready;
  const svid = source.svid();
  const port = Number(other.addresses.http.split(':').at(-1));
  const statusOf = (path: string, withCertificate: boolean) =>
    new Promise<number | undefined>((resolve, reject) => {
      const request = httpsRequest(
        {
          host: '127.0.0.1',
          port,
          path,
          ca: other.rootsPem(),
          agent: false,
          headers: { host: 'localhost' },
          ...(withCertificate && {
            cert: svid?.certificatesPem.join(''),
            key: svid?.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
          }),
        },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      request.on('error', reject);
      request.end();
    });
  expect(await statusOf('/api/status', true)).toBe(200);
  expect(await statusOf('/api/join-tokens', true)).toBe(403);
  expect(await statusOf('/api/status', false)).toBe(401);
  source.close();
  await other.close();
  await rm(dataDir, { recursive: true });
});
