// The front: asks details and reviews, and shows what it got, from whom, and how long it took.
import { callerOf, describe, handOn, serve } from './serve.mjs';

/** SPIFFE IDs that the servers proved to us, by cluster: told by the mesh, not by the servers' answers. */
const peers = {};

await serve(
  async (request, mesh) => {
    if (!request.url.startsWith('/productpage')) return undefined;
    const headers = handOn(request);
    const [details, reviews] = await Promise.all([
      ask(mesh, 'http://details:9080/details/0', headers),
      ask(mesh, 'http://reviews:9080/reviews/0', headers),
    ]);
    const failed = details.error !== undefined || reviews.error !== undefined;
    return { status: failed ? 502 : 200, caller: callerOf(request), details, reviews, peers };
  },
  {
    observers: [
      {
        exchange({ context }) {
          if (context.direction === 'outbound' && context.peerId !== undefined)
            peers[context.clusterName] = context.peerId;
        },
      },
    ],
  },
);

async function ask(mesh, url, headers) {
  const started = performance.now();
  try {
    const response = await mesh.fetch(url, { headers });
    const tookMs = Math.round(performance.now() - started);
    if (!response.ok)
      return { error: `status ${response.status}`, reason: response.headers.get('x-inmesh-reason'), tookMs };
    return { ...(await response.json()), tookMs };
  } catch (error) {
    return { error: describe(error), tookMs: Math.round(performance.now() - started) };
  }
}
