import { describe, expect, test } from 'vitest';
import { cluster, endpoint, forward, host, snapshotOf } from '../../integration/support/static-mesh.js';
import { createDataPath } from './support.js';

describe('applying a snapshot', () => {
  test('what did not change keeps its stack and its cluster', () => {
    const [a, b] = [host('a:80', [forward('a')]), host('b:80', [forward('b')])];
    const [clusterA, clusterB] = [cluster('a', [endpoint(1)]), cluster('b', [endpoint(2)])];
    const path = createDataPath(snapshotOf([a, b], [clusterA, clusterB]));
    const before = [path.table.lookup('http://a')?.service, path.table.lookup('http://b')?.service];
    const runtime = path.clusters.get('a');
    path.apply(snapshotOf([a, host('b:80', [forward('b', { timeoutMs: 5 })])], [clusterA, clusterB]));
    expect(path.table.lookup('http://a')?.service).toBe(before[0]);
    expect(path.table.lookup('http://b')?.service).not.toBe(before[1]);
    expect(path.clusters.get('a')).toBe(runtime);
  });

  test('new endpoints of an equal cluster need no new stack', async () => {
    const a = host('a:80', [forward('a')]);
    const path = createDataPath(snapshotOf([a], [cluster('a', [endpoint(1)])]));
    const before = path.table.lookup('http://a')?.service;
    path.apply(snapshotOf([a], [cluster('a', [endpoint(2)])]));
    expect(path.table.lookup('http://a')?.service).toBe(before);
    path.network.serve('127.0.0.1:2', { status: 200 });
    expect((await path.send('http://a')).status).toBe(200);
    expect([...path.network.counts()]).toEqual([['127.0.0.1:2', 1]]);
  });

  test('where endpoints alone changed, the table of hosts stays, too', async () => {
    const first = snapshotOf([host('a:80', [forward('a')])], [cluster('a', [endpoint(1)])]);
    const path = createDataPath(first);
    const before = path.table;
    const { clusters } = snapshotOf([], [cluster('a', [endpoint(2)])]);
    path.apply({ ...first, clusters });
    expect(path.table).toBe(before);
    path.network.serve('127.0.0.1:2', { status: 200 });
    expect((await path.send('http://a')).status).toBe(200);
  });

  test('a changed cluster gets its routes a new stack', () => {
    const a = host('a:80', [forward('a')]);
    const path = createDataPath(snapshotOf([a], [cluster('a', [endpoint(1)])]));
    const before = path.table.lookup('http://a')?.service;
    path.apply(snapshotOf([a], [cluster('a', [endpoint(1)], { lbPolicy: { kind: 'random' } })]));
    expect(path.table.lookup('http://a')?.service).not.toBe(before);
  });

  test('a cluster that arrives after its route is used from then on', async () => {
    const a = host('a:80', [forward('a')]);
    const path = createDataPath(snapshotOf([a], []));
    expect((await path.send('http://a')).local?.reason).toBe('INMESH_NO_CLUSTER');
    path.network.serve('127.0.0.1:1', { status: 200 });
    path.apply(snapshotOf([a], [cluster('a', [endpoint(1)])]));
    expect((await path.send('http://a')).status).toBe(200);
  });

  test('a request under way finishes on the stack that it began with', async () => {
    const path = createDataPath(snapshotOf([host('a:80', [forward('a')])], [cluster('a', [endpoint(1)])]));
    let answer = (): void => {};
    path.network.serve(
      '127.0.0.1:1',
      () =>
        new Promise((resolve) => {
          answer = () => resolve({ status: 200 });
        }),
    );
    const running = path.send('http://a');
    path.apply(snapshotOf([], []));
    expect(path.table.lookup('http://a')).toBeUndefined();
    answer();
    expect((await running).status).toBe(200);
  });
});
