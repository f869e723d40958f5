// One variant of the client in its own process: warms up, then drives requests whenever it is told to, and measures its
// CPU per request and the latencies.
import { VARIANTS } from './variants.mjs';

const [variant, settings] = process.argv.slice(2);
const world = JSON.parse(settings);
const call = await VARIANTS[variant](world);

await drive(1_500, []);
process.send('warm');
process.on('message', async ({ ms, end }) => {
  if (end) process.exit(0);
  process.send(await measured(ms));
});

/** The first moments after a pause are not counted: the others have had the caches. */
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
    requests: sorted.length,
    rps: sorted.length / seconds,
    cpuUs: (user + system) / sorted.length,
    p50: sorted[Math.floor(sorted.length * 0.5)],
    p99: sorted[Math.floor(sorted.length * 0.99)],
  };
}

async function drive(ms, into) {
  const until = performance.now() + ms;
  const loop = async () => {
    for (;;) {
      const started = performance.now();
      if (started >= until) return;
      await call();
      into.push(performance.now() - started);
    }
  };
  await Promise.all(Array.from({ length: world.concurrency }, loop));
}
