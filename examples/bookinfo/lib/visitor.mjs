// What a visitor does: looks at the product page, through the mesh, and counts what it sees.
import http from 'node:http';
import { eventually } from './steps.mjs';

/** One page: its status and its content. */
export async function page(mesh, user) {
  try {
    const headers = user === undefined ? {} : { 'end-user': user };
    const response = await mesh.fetch('http://productpage:9080/productpage', { headers });
    const text = await response.text();
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : { text } };
  } catch (error) {
    return { status: 0, body: { error: String(error.cause ?? error) } };
  }
}

/** Asks until a page has reviews of the version. */
export async function pageFrom(mesh, version) {
  for (;;) {
    const one = await page(mesh);
    if (one.body.reviews?.version === version) return one;
  }
}

/** How many of the pages had reviews of which version. */
export async function countVersions(mesh, requests, user) {
  const counts = {};
  for (let left = requests; left > 0; left -= 5) {
    const pages = await Promise.all(Array.from({ length: Math.min(5, left) }, () => page(mesh, user)));
    for (const { body } of pages) {
      const version = body.reviews?.version ?? 'failed';
      counts[version] = (counts[version] ?? 0) + 1;
    }
  }
  return counts;
}

/** Asks for pages without a pause, four at a time, until stopped. */
export function keepAsking(mesh, log) {
  const counts = { total: 0, failed: 0 };
  let going = true;
  const one = async () => {
    while (going) {
      const { status, body } = await page(mesh);
      counts.total++;
      if (status !== 200) {
        counts.failed++;
        log(JSON.stringify(body));
      }
    }
  };
  const loops = [one(), one(), one(), one()];
  return {
    reached: (wanted) => eventually(() => counts.total >= wanted, 30_000),
    stop: async () => {
      going = false;
      await Promise.all(loops);
      return counts;
    },
  };
}

/** A call without mTLS, straight to the port. */
export function plaintext(address) {
  return new Promise((resolve) => {
    http
      .get(`http://${address}/reviews/0`, { agent: false }, (response) => {
        response.resume();
        resolve(`status ${response.statusCode}`);
      })
      .on('error', (error) => resolve(`refused (${error.code ?? error.message})`));
  });
}
