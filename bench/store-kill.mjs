// kill -9 at random points of a write load: `node bench/store-kill.mjs [points] [seed]` (default 200). Four writers change
// objects through the HTTP API; the control plane is killed, started again on its folder, and everything that it had
// acknowledged has to be there, as it was written. Prints a line of JSON; exit code 1 when something was lost.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../dist/bin.js', import.meta.url));
const points = Number(process.argv[2] ?? 200);
let state = Number(process.argv[3] ?? 1);
const WRITERS = 4;
const KEYS = 12;

/** Park and Miller: the same seed kills at the same points. */
const random = () => {
  state = (state * 48_271) % 2_147_483_647;
  return state / 2_147_483_647;
};

const folder = mkdtempSync(join(tmpdir(), 'inmesh-store-kill-'));
const config = join(folder, 'none.yaml');
writeFileSync(config, '');
const digest = (text) => createHash('sha256').update(text).digest('hex');

async function start() {
  const args = [
    'dev',
    '--port',
    '0',
    '--secure-port',
    '0',
    '--http-port',
    '0',
    '-c',
    config,
    '-d',
    folder,
    '-o',
    'json',
  ];
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', () => reject(new Error('the control plane did not start')));
  });
  return { url: `http://${JSON.parse(line).http}`, child, exited };
}

/** Per key: what was acknowledged, and what was sent without an answer. */
const acknowledged = new Map();
const attempted = new Map();
let writes = 0;
let onWrite = () => {};
let sequence = 0;

async function write(url, key) {
  const number = ++sequence;
  const filler = 'x'.repeat(Math.floor(random() * 4_000));
  const object = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: key,
      annotations: { number: String(number), filler, digest: digest(`${number}${filler}`) },
    },
    spec: { ports: [{ name: 'http', port: 80 }] },
  };
  attempted.set(key, number);
  const answer = await fetch(`${url}/api/batches`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ changes: [{ op: 'apply', object }] }),
  });
  if (answer.status !== 200)
    throw Object.assign(new Error(`a write was answered with ${answer.status}`), { refused: true });
  await answer.json();
  acknowledged.set(key, number);
  writes++;
  onWrite();
}

/** Each writer has keys of its own, so that the newest of a key is known. */
async function writer(url, index) {
  for (let turn = 0; ; turn++) {
    const key = `k${index + WRITERS * (turn % (KEYS / WRITERS))}`;
    try {
      await write(url, key);
    } catch (error) {
      // The connection of the dead is what ends it; an answer that refuses is not.
      if (error.refused) throw error;
      return;
    }
  }
}

async function verify(url) {
  const { items } = await (await fetch(`${url}/api/resources?kind=Service`)).json();
  const found = new Map(items.map(({ metadata }) => [metadata.name, metadata.annotations]));
  let lost = 0;
  let corrupt = 0;
  for (const [key, number] of acknowledged) {
    const read = found.get(key);
    if (read === undefined || Number(read.number) < number) lost++;
  }
  for (const [key, { number, filler, digest: wanted }] of found) {
    if (digest(`${number}${filler}`) !== wanted || Number(number) > (attempted.get(key) ?? 0)) corrupt++;
    // What came through without an answer counts from now on.
    else acknowledged.set(key, Number(number));
  }
  return { lost, corrupt };
}

const began = performance.now();
const total = { lost: 0, corrupt: 0 };
try {
  for (let point = 0; point < points; point++) {
    const { url, child, exited } = await start();
    const seen = await verify(url);
    total.lost += seen.lost;
    total.corrupt += seen.corrupt;
    const running = Array.from({ length: WRITERS }, (_, index) => writer(url, index));
    // After some writes, anywhere within the next.
    const enough = writes + Math.floor(random() * 30);
    const written = new Promise((resolve) => {
      onWrite = () => writes >= enough && resolve();
    });
    await Promise.race([written, Promise.all(running)]);
    await new Promise((resolve) => setTimeout(resolve, random() * 10));
    child.kill('SIGKILL');
    await Promise.all([exited, ...running]);
  }
  const { url, child, exited } = await start();
  const seen = await verify(url);
  total.lost += seen.lost;
  total.corrupt += seen.corrupt;
  child.kill('SIGKILL');
  await exited;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const seconds = Math.round((performance.now() - began) / 100) / 10;
console.log(JSON.stringify({ points, writes, ...total, seconds }));
process.exitCode = total.lost + total.corrupt > 0 || writes === 0 ? 1 : 0;
