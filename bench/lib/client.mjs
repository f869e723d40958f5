// One variant of the client in its own process: warms up, then measures its CPU per request and the latencies.

import { createMesh } from 'inmesh';
import { Agent, Pool, request } from 'undici';

const [variant, controlPlane, barePort, secondsText, concurrencyText] = process.argv.slice(2);
const durationMs = Number(secondsText) * 1000;
const concurrency = Number(concurrencyText);

const VARIANTS = {
  'Pool.request': async () => {
    const pool = new Pool(`http://127.0.0.1:${barePort}`, { connections: concurrency });
    return async () => {
      const { body } = await pool.request({ path: '/', method: 'GET' });
      await body.dump();
    };
  },
  'MeshDispatcher.request': async () => {
    const { dispatcher } = await join();
    return async () => {
      const { body } = await dispatcher.request({ origin: 'http://echo', path: '/', method: 'GET' });
      await body.dump();
    };
  },
  'undici.request(url) + Agent': async () => {
    const dispatcher = new Agent({ connections: concurrency });
    return async () => {
      const { body } = await request(`http://127.0.0.1:${barePort}/`, { dispatcher });
      await body.dump();
    };
  },
  'undici.request(url) + MeshDispatcher': async () => {
    const dispatcher = (await join()).dispatcher;
    return async () => {
      const { body } = await request('http://echo/', { dispatcher });
      await body.dump();
    };
  },
  'fetch + undici Agent': async () => {
    const dispatcher = new Agent({ connections: concurrency });
    return async () => {
      const response = await fetch(`http://127.0.0.1:${barePort}/`, { dispatcher });
      await response.arrayBuffer();
    };
  },
  'mesh.fetch': async () => {
    const mesh = await join();
    return async () => {
      const response = await mesh.fetch('http://echo/');
      await response.arrayBuffer();
    };
  },
};

async function join() {
  const mesh = await createMesh({ service: 'bench', cacheDir: false, controlPlane });
  await mesh.ready();
  const { status } = await mesh.fetch('http://echo/');
  if (status !== 200) throw new Error(`echo answered ${status}`);
  return mesh;
}

const call = await VARIANTS[variant]();
await drive(call, 1_500, []);
const latencies = [];
const cpu = process.cpuUsage();
const begin = performance.now();
await drive(call, durationMs, latencies);
const { user, system } = process.cpuUsage(cpu);
const seconds = (performance.now() - begin) / 1000;
latencies.sort((a, b) => a - b);
process.send({
  requests: latencies.length,
  rps: latencies.length / seconds,
  cpuUs: (user + system) / latencies.length,
  p50: latencies[Math.floor(latencies.length * 0.5)],
  p99: latencies[Math.floor(latencies.length * 0.99)],
});
process.exit(0);

async function drive(one, ms, into) {
  const until = performance.now() + ms;
  const loop = async () => {
    for (;;) {
      const started = performance.now();
      if (started >= until) return;
      await one();
      into.push(performance.now() - started);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, loop));
}
