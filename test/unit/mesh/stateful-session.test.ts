import { expect, test } from 'vitest';
import type { StatefulSessionConfig } from '../../../src/model/stateful-session.js';
import type { Attempt } from '../../../src/service/context.js';
import { cluster, endpoint, forward, host, snapshotOf } from '../../integration/support/static-mesh.js';
import { createDataPath } from './support.js';

const PORTS = [1, 2, 3, 4];

function session(strict: boolean) {
  const config: StatefulSessionConfig = {
    kind: 'stateful-session',
    state: { kind: 'cookie', name: 'sid', ttlSeconds: 60, path: '', attributes: [] },
    strict,
  };
  const shop = host('shop:80', [forward('shop')]);
  const http = {
    ...shop.listener.http,
    filters: [{ name: 'session', config }, ...shop.listener.http.filters],
  };
  const listener = { ...shop.listener, http };
  const withEndpoints = (ports: readonly number[]) =>
    snapshotOf(
      [{ ...shop, listener }],
      [
        cluster(
          'shop',
          ports.map((port) => endpoint(port)),
        ),
      ],
    );
  const attempts: Attempt[] = [];
  const path = createDataPath(withEndpoints(PORTS), {
    observer: { attempt: (_request, attempt) => attempts.push(attempt) },
  });
  for (const port of PORTS) path.network.serve(`127.0.0.1:${port}`, { status: 200 });
  return { path, attempts, withEndpoints };
}

const cookieOf = (line = ''): string => line.slice(0, line.indexOf(';'));

test('requests of a session go to the host that began it', async () => {
  const { path, attempts } = session(false);
  const first = await path.send('http://shop');
  const cookie = cookieOf(first.headers.get('set-cookie'));
  for (let i = 0; i < 5; i++) {
    const next = await path.send('http://shop', { header: { cookie } });
    expect(next.headers.has('set-cookie')).toBe(false);
  }
  expect(new Set(attempts.map((one) => one.host)).size).toBe(1);
  expect(attempts.map((one) => one.chosenBy)).toEqual(['round-robin', ...Array(5).fill('override-host')]);
});

test('a session whose host is gone moves, and is told so', async () => {
  const { path, attempts, withEndpoints } = session(false);
  const first = await path.send('http://shop');
  const cookie = cookieOf(first.headers.get('set-cookie'));
  const gone = Number(attempts[0]?.host?.split(':')[1]);
  path.apply(withEndpoints(PORTS.filter((port) => port !== gone)));
  const moved = await path.send('http://shop', { header: { cookie } });
  expect(moved.status).toBe(200);
  expect(cookieOf(moved.headers.get('set-cookie'))).not.toBe(cookie);
});

test('a strict session whose host is gone fails', async () => {
  const { path } = session(true);
  const value = Buffer.from('\n\x0b127.0.0.1:9').toString('base64');
  const response = await path.send('http://shop', { header: { cookie: `sid=${value}` } });
  expect([response.status, response.local?.details]).toEqual([503, 'no_healthy_upstream']);
});
