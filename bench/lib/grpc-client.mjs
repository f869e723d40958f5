// One client of the gRPC bench in its own process: warms up, then calls whenever it is told to, and measures.
import { LOADS, VARIANTS } from './grpc-variants.mjs';

const [variant, load, settings] = process.argv.slice(2);
const world = JSON.parse(settings);
const { messages, start } = LOADS[load];
const call = start(await VARIANTS[variant](world));
const one = () =>
  new Promise((resolve, reject) => call((error) => (error == null ? resolve() : reject(error))));

await drive(world.warmMs ?? 1_500, []);
process.send('warm');
process.on('message', async ({ ms, end }) => {
  if (end) process.exit(0);
  process.send(await measured(ms));
});

async function measured(ms) {
  await drive(30, []);
  const latencies = [];
  const cpu = process.cpuUsage();
  const begin = performance.now();
  await drive(ms, latencies);
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - begin) / 1000;
  const sorted = Float64Array.from(latencies).sort();
  return {
    cpuUs: (user + system) / (sorted.length * messages),
    rate: (sorted.length * messages) / seconds,
    p50: sorted[Math.floor(sorted.length * 0.5)],
    p99: sorted[Math.floor(sorted.length * 0.99)],
    rssMb: process.memoryUsage().rss / 2 ** 20,
  };
}

async function drive(ms, into) {
  const until = performance.now() + ms;
  const loop = async () => {
    for (;;) {
      const began = performance.now();
      if (began >= until) return;
      await one();
      into.push(performance.now() - began);
    }
  };
  const concurrency = messages > 1 ? 1 : world.concurrency;
  await Promise.all(Array.from({ length: concurrency }, loop));
}
