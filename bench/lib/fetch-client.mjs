// One fetch in its own process: warms up, then measures the CPU of this process per request.
import { createMesh } from 'inmesh';
import { Agent, fetch, request } from 'undici';

const { variant, controlPlane, port, seconds, concurrency } = JSON.parse(process.argv[2]);

const json = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"name":"value"}' };

/** What is done with each fetch. */
const WORK = {
  'GET, arrayBuffer()': async (call, base) => (await call(base)).arrayBuffer(),
  'GET, json()': async (call, base) => (await call(`${base}json`)).json(),
  'POST JSON, text()': async (call, base) => (await call(base, json)).text(),
  'GET, body stream': async (call, base) => {
    const reader = (await call(base)).body.getReader();
    while (!(await reader.read()).done);
  },
  'GET with a signal': async (call, base) =>
    (await call(base, { signal: new AbortController().signal })).arrayBuffer(),
};

const [client, work] = variant;
const once = await joined();

await drive(1_000);
const cpu = process.cpuUsage();
const count = await drive(seconds * 1000);
const { user, system } = process.cpuUsage(cpu);
process.send((user + system) / count);
process.once('disconnect', () => process.exit(0));

async function joined() {
  const agent = new Agent({ connections: concurrency });
  const bare = `http://127.0.0.1:${port}/`;
  if (client === 'undici.request')
    return async () => (await request(bare, { dispatcher: agent })).body.dump();
  if (client === 'undici.fetch') {
    const call = (url, init) => fetch(url, { ...init, dispatcher: agent });
    return () => WORK[work](call, bare);
  }
  const mesh = await createMesh({ service: 'bench', cacheDir: false, controlPlane });
  await mesh.ready();
  return () => WORK[work](mesh.fetch, 'http://echo.bench/');
}

async function drive(ms) {
  const until = performance.now() + ms;
  let calls = 0;
  const loop = async () => {
    while (performance.now() < until) {
      await once();
      calls++;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, loop));
  return calls;
}
