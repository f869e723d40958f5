import { describe, expect, test } from 'vitest';
import { shadowHost } from '../../../src/mesh/mirror.js';
import type { MirrorPolicy } from '../../../src/model/mirror.js';
import type { Route } from '../../../src/model/route.js';
import { type Body, readBody } from '../../../src/service/body.js';
import { teeBody } from '../../../src/service/tee.js';
import { cluster, endpoint, forward, host, snapshotOf } from '../../integration/support/static-mesh.js';
import { createDataPath } from './support.js';

const policy = (name: string, part: Partial<MirrorPolicy> = {}): MirrorPolicy => ({
  target: { kind: 'cluster', name },
  fraction: undefined,
  traceSampled: undefined,
  hostSuffix: true,
  ...part,
});

function streamed(...chunks: readonly string[]): Body {
  async function* iterate() {
    for (const chunk of chunks) yield Buffer.from(chunk);
  }
  return { kind: 'native', value: undefined, length: undefined, iterate };
}

/** A path whose route goes to `main` (port 1) and mirrors to `copy` (port 2) and `other` (port 3). */
function pathWith(route: Route) {
  const clusters = ['main', 'copy', 'other'].map((name, index) => cluster(name, [endpoint(index + 1)]));
  const path = createDataPath(snapshotOf([host('reviews:80', [route])], clusters));
  const seen: string[] = [];
  for (const port of [1, 2, 3]) {
    path.network.serve(`127.0.0.1:${port}`, async (request) => {
      const body = (await readBody(request.body)).toString();
      seen.push(`${port} ${request.authority} ${request.path} ${body}`);
      return { status: port === 1 ? 200 : 500, body: `from ${port}` };
    });
  }
  return { path, seen };
}

describe('mirrors', () => {
  test('copies go to every policy’s cluster, with the changed path and -shadow; the answer is the main one’s', async () => {
    const route = forward('main', {
      mirrors: [policy('copy'), policy('other', { hostSuffix: false })],
      pathRewrite: { kind: 'prefix', value: '/new' },
    });
    const { path, seen } = pathWith(route);
    const response = await path.send('http://reviews', {
      authority: 'r:9',
      body: streamed('a', 'b'),
      path: '/x',
    });
    expect([response.status, (await readBody(response.body)).toString()]).toEqual([200, 'from 1']);
    await path.clock.advance(0);
    expect(seen.sort()).toEqual(['1 r:9 /newx ab', '2 r-shadow:9 /newx ab', '3 r:9 /newx ab']);
  });

  test('a fraction of the requests; a cluster named by a header', async () => {
    const never = { numerator: 0, denominator: 100 } as const;
    const route = forward('main', {
      mirrors: [
        policy('copy', { fraction: never }),
        policy('', { target: { kind: 'header', name: 'x-copy' } }),
      ],
    });
    const { path, seen } = pathWith(route);
    await path.send('http://reviews', { header: { 'x-copy': 'other' } });
    await path.send('http://reviews', {});
    await path.clock.advance(0);
    expect(seen.map((line) => line[0]).sort()).toEqual(['1', '1', '3']);
  });

  test('a mirror that fails, hangs or does not exist changes nothing', async () => {
    const { path } = pathWith(
      forward('main', { mirrors: [policy('copy'), policy('other'), policy('gone')] }),
    );
    path.network.serve('127.0.0.1:2', { failure: 'connect' });
    path.network.serve('127.0.0.1:3', () => new Promise(() => {}));
    const response = await path.send('http://reviews', { body: streamed('a') });
    expect(response.status).toBe(200);
  });

  test('CONNECT is never mirrored', async () => {
    const { path, seen } = pathWith(forward('main', { mirrors: [policy('copy')] }));
    await path.send('http://reviews', { method: 'CONNECT' });
    await path.clock.advance(0);
    expect(seen.filter((line) => line.startsWith('2'))).toEqual([]);
  });

  test('-shadow goes before the port', () => {
    expect(['a', 'a:80', '[::1]:80', '[::1]'].map(shadowHost)).toEqual([
      'a-shadow',
      'a-shadow:80',
      '[::1]-shadow:80',
      '[::1]-shadow',
    ]);
  });
});

describe('a body that others follow', () => {
  test('a copy that falls too far behind breaks off; the body goes on', async () => {
    const tee = teeBody(streamed('12345', '67890'), 6);
    const copy = tee.copy();
    expect((await readBody(tee.body)).toString()).toBe('1234567890');
    await expect(readBody(copy)).rejects.toThrow('fell 6 bytes behind');
  });

  test('a body that is not read to its end ends its copies', async () => {
    const tee = teeBody(streamed('1', '2'), 100);
    const copy = tee.copy();
    if (tee.body.kind !== 'native') throw new Error('streamed');
    for await (const _ of tee.body.iterate()) break;
    await expect(readBody(copy)).rejects.toThrow('not read to its end');
  });
});
