// The client of bench/heap.mjs: reports its heap after a full collection, eleven times.
import { VARIANTS } from './variants.mjs';

const [requests, settings] = process.argv.slice(2);
const world = JSON.parse(settings);
const call = await VARIANTS['MeshDispatcher.request'](world);
const total = Number(requests);
let done = 0;

await measure();
for (let tenth = 1; tenth <= 10; tenth++) {
  const until = (total * tenth) / 10;
  let started = done;
  const loop = async () => {
    while (started++ < until) {
      await call();
      done++;
    }
  };
  await Promise.all(Array.from({ length: world.concurrency }, loop));
  await measure();
}
process.exit(0);

async function measure() {
  // Twice, with a turn between: finalizers of the first collection free what the second finds.
  for (let round = 0; round < 2; round++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  await new Promise((resolve) => process.send({ done, heap: heapUsed, external, rss }, resolve));
}
