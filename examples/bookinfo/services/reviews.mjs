// v1 shows no stars, v2 black ones, v3 red ones: the stars come from the ratings service.
import { callerOf, handOn, serve } from './serve.mjs';

const version = process.env.INMESH_VERSION ?? 'v1';
const color = { v2: 'black', v3: 'red' }[version];

await serve(async (request, mesh) => {
  if (!/^\/reviews\/\d+$/.test(request.url)) return undefined;
  const answer = {
    version,
    pid: process.pid,
    caller: callerOf(request),
    reviews: ['Great comedy.', 'Very funny.'],
  };
  return color === undefined ? answer : { ...answer, stars: await stars(request, mesh) };
});

async function stars(request, mesh) {
  const started = performance.now();
  const response = await mesh.fetch('http://ratings:9080/ratings/0', { headers: handOn(request) });
  const tookMs = Math.round(performance.now() - started);
  if (!response.ok) return { color, error: `ratings answered ${response.status}`, tookMs };
  const { ratings } = await response.json();
  return { color, ...ratings, tookMs };
}
