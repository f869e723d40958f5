import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, test, vi } from 'vitest';
import { createCaSource } from '../../../src/identity/ca-source.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { systemRandom } from '../../../src/runtime/random.js';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { TemporaryFolder } from './support.js';

const CLI = fileURLToPath(new URL('../../../dist/bin.js', import.meta.url));
const PACKAGE = new URL('../../../dist/', import.meta.url);

/** The machine that serves: says who called it. */
const SERVER = `
import { createServer } from 'node:http';
import { createMesh } from '${new URL('index.js', PACKAGE)}';
import { peerOf } from '${new URL('server.js', PACKAGE)}';
const mesh = await createMesh({ cacheDir: false });
const server = createServer((request, response) => response.end(JSON.stringify(peerOf(request) ?? null)));
const { port } = await mesh.listen(server, 0);
console.log(String(port));
`;

/** The machine that calls. */
const CLIENT = `
import { createMesh } from '${new URL('index.js', PACKAGE)}';
import { createFetch } from '${new URL('fetch.js', PACKAGE)}';
const mesh = await createMesh({ cacheDir: false, startupTimeoutMs: 10000 });
const fetch = createFetch(mesh);
for (let left = 100; ; left--) {
  const response = await fetch('http://reviews/').catch((error) => ({ status: 0, text: async () => String(error) }));
  const text = await response.text();
  if (response.status === 200 || left === 0) {
    console.log(JSON.stringify({ status: response.status, text }));
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
}
await mesh.close();
`;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [...args], {
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let talk = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    talk += text;
  });
  closing.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  const line = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${talk}`)));
  });
  return { line, talk: () => talk };
}

test('two machines join by tokens and call each other over mTLS, from inmesh serve to the answer', async () => {
  const folder = new TemporaryFolder();
  closing.push(() => folder.remove());
  const data = join(folder.path, 'plane');
  const mesh = folder.write(
    'mesh.yaml',
    `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`,
  );
  const ports = ['--host', '127.0.0.1', '--secure-port', '0', '--http-port', '0', '-o', 'json'];
  const plane = start([CLI, 'serve', '--data', data, '--config', mesh, ...ports]);
  const { secureXds, xds, rootFile } = JSON.parse(await plane.line);
  expect(xds).toBe('');
  expect(readFileSync(rootFile, 'utf8')).not.toContain('PRIVATE');
  const tokenFor = async (serviceAccount: string) => {
    const args = [CLI, 'token', 'create', '--data', data, '--service-account', serviceAccount];
    return (await promisify(execFile)(process.execPath, args)).stdout.trim();
  };
  const environment = (service: string, joinToken: string) => ({
    INMESH_SERVICE: service,
    INMESH_SERVICE_ACCOUNT: service,
    INMESH_CONTROL_PLANE: secureXds,
    INMESH_CA_ROOT: rootFile,
    INMESH_JOIN_TOKEN: joinToken,
  });
  const [forServer, forClient] = await Promise.all([tokenFor('reviews'), tokenFor('web')]);
  const server = start([folder.write('server.mjs', SERVER)], environment('reviews', forServer));
  await server.line;
  const client = start([folder.write('client.mjs', CLIENT)], environment('web', forClient));
  const answer = JSON.parse(await client.line);
  expect(answer.status).toBe(200);
  expect(answer.text).toContain('spiffe://cluster.local/ns/default/sa/web');

  // The token is used up: whoever finds it can not join.
  const thief = createCaSource({
    target: secureXds,
    identity: { namespace: 'default', serviceAccount: 'web' },
    credentials: (grpc) => grpc.credentials.createSsl(readFileSync(rootFile)),
    callMetadata: () => Promise.resolve({ authorization: `Bearer ${forClient}` }),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
  });
  closing.push(() => thief.close());
  await expect(thief.ready).rejects.toMatchObject({ code: 'INMESH_CA_REFUSED' });
  const audit = readFileSync(join(data, 'audit.jsonl'), 'utf8');
  expect(audit.match(/"join-token\.use"/g)).toHaveLength(2);
  for (const token of [forServer, forClient]) {
    expect(audit).not.toContain(token);
    for (const one of [plane, server, client]) expect(one.talk()).not.toContain(token);
  }
});

test('after a rotation root.pem has both roots, and who joins with other ones is told so', async () => {
  const folder = new TemporaryFolder();
  closing.push(() => folder.remove());
  const data = join(folder.path, 'plane');
  const ports = ['--host', '127.0.0.1', '--secure-port', '0', '--http-port', '0', '-o', 'json'];
  const plane = start([CLI, 'serve', '--data', data, '--config', folder.write('mesh.yaml', ''), ...ports]);
  const { secureXds, rootFile } = JSON.parse(await plane.line);
  const before = readFileSync(rootFile, 'utf8');
  await promisify(execFile)(process.execPath, [CLI, 'ca', 'rotate', '--data', data]);
  await vi.waitFor(() => expect(readFileSync(rootFile, 'utf8').match(/BEGIN CERTIFICATE/g)).toHaveLength(2), {
    timeout: 60_000,
  });
  expect(readFileSync(rootFile, 'utf8')).toContain(before.trim());

  const strangeRoot = (await createTestCa()).authority.rootPem();
  const told: string[] = [];
  const stranger = createCaSource({
    target: secureXds,
    identity: { namespace: 'default', serviceAccount: 'web' },
    credentials: (grpc) => grpc.credentials.createSsl(Buffer.from(strangeRoot)),
    clock: systemClock,
    random: systemRandom,
    logger: { ...silentLogger, error: (fields) => void told.push(String(fields['error'])) },
  });
  stranger.ready.catch(() => {});
  closing.push(() => stranger.close());
  await vi.waitFor(() => expect(told.join()).toContain('Give the roots that the control plane has now'), {
    timeout: 60_000,
  });
});
