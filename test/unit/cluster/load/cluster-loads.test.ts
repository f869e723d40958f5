import { describe, expect, test } from 'vitest';
import { createCluster } from '../../../../src/cluster/cluster.js';
import { LoadLedger } from '../../../../src/cluster/load/load-ledger.js';
import { readLoadReport } from '../../../../src/codec/load-report.js';
import type { Cluster } from '../../../../src/model/cluster.js';
import type { ClusterLoadAssignment } from '../../../../src/model/endpoint.js';
import { Abort } from '../../../../src/runtime/abort.js';
import { Completion } from '../../../../src/service/completion.js';
import { HeaderMap } from '../../../../src/service/headers.js';
import { TimeLimitError } from '../../../../src/service/time-limit-error.js';
import type { MemoryEndpoint } from '../../../../src/testing/memory-transport.js';
import { assignment, clusterConfig, endpoint, endpoints, locality, request, world } from '../fixtures.js';

const ANY_CLUSTER = () => true;
const WEST = { region: 'eu', zone: 'west', subZone: '' };

function started(
  answer: MemoryEndpoint = () => ({ status: 200 }),
  given: ClusterLoadAssignment = endpoints('a', 'b'),
  config: Partial<Cluster> = {},
) {
  const { tools, clock, network } = world(answer);
  const ledger = new LoadLedger(clock);
  const all = {
    ...tools,
    loads: ledger,
    readLoad: (headers: HeaderMap) => readLoadReport(undefined, headers.get('endpoint-load-metrics')),
  };
  const make = (change: Partial<Cluster> = {}, inherited?: ReturnType<typeof createCluster>) =>
    createCluster(
      { cluster: clusterConfig({ loadReporting: { metrics: [] }, ...config, ...change }), assignment: given },
      all,
      inherited,
    );
  const cluster = make();
  const send = (address: string, more: Parameters<typeof request>[0] = {}) => {
    const host = cluster.hosts.get(address);
    if (host === undefined) throw new Error('no such host');
    return cluster.send(host, request(more)).catch(() => undefined);
  };
  const take = (withEndpoints = false) => ledger.take(ANY_CLUSTER, ANY_CLUSTER, withEndpoints);
  return { cluster, clock, ledger, make, network, send, take };
}

const NONE = { successes: 0, errors: 0, inProgress: 0, issued: 0 };

describe('what is reported of a cluster', () => {
  test('is everything since it is known: the first cluster, and its first requests, too', async () => {
    const { send, take, clock } = started();
    await send('a:80');
    await send('b:80');
    await clock.advance(1234);
    expect(take()).toEqual([
      {
        clusterName: 'reviews',
        serviceName: 'reviews',
        dropped: 0,
        drops: [],
        intervalMs: 1234,
        localities: [
          {
            locality: { region: '', zone: '', subZone: '' },
            priority: 0,
            endpoints: [],
            metrics: [],
            successes: 2,
            errors: 0,
            inProgress: 0,
            issued: 2,
          },
        ],
      },
    ]);
  });

  test('is told once, and by locality and priority; where nothing happened nothing is told', async () => {
    const { send, take, clock } = started(
      ({ path }) => ({ status: path === '/bad' ? 503 : 404 }),
      assignment(
        locality([endpoint('a')]),
        locality([endpoint('b'), endpoint('c')], { locality: WEST, priority: 1 }),
        locality([endpoint('d')], { locality: { ...WEST, zone: 'east' }, priority: 1 }),
      ),
    );
    await send('a:80');
    await send('b:80');
    await send('c:80', { path: '/bad' });
    const [load] = take(true);
    expect(load?.localities).toMatchObject([
      { priority: 0, successes: 1, endpoints: [{ address: { address: 'a' }, successes: 1, issued: 1 }] },
      {
        locality: WEST,
        priority: 1,
        successes: 1,
        errors: 1,
        issued: 2,
        endpoints: [{ address: { address: 'b' } }, { address: { address: 'c' }, errors: 1, successes: 0 }],
      },
    ]);
    await clock.advance(50);
    expect(take(true)).toMatchObject([{ localities: [], intervalMs: 50 }]);
  });

  test('counts what is under way until its trailers settle', async () => {
    const completion = new Completion();
    const { send, take } = started(() => ({ status: 200, completion }));
    await send('a:80');
    expect(take()[0]?.localities).toMatchObject([{ ...NONE, successes: 1, inProgress: 1, issued: 1 }]);
    expect(take()[0]?.localities).toMatchObject([{ ...NONE, inProgress: 1 }]);
    completion.settle();
    expect(take()[0]?.localities).toEqual([]);
  });

  test('takes failures and time limits for errors, and nothing for a caller that gave up', async () => {
    const { send, take } = started(() => new Promise(() => {}));
    const [caller, limit] = [new Abort(), new Abort()];
    const pending = [send('a:80', { abort: caller }), send('b:80', { abort: limit })];
    caller.abort(new Error('gone'));
    limit.abort(new TimeLimitError('too late'));
    await Promise.all(pending);
    const [load] = take(true);
    expect(load?.localities[0]).toMatchObject({ ...NONE, errors: 1, issued: 2 });
    const refused = started(() => ({ failure: 'connect' }));
    await refused.send('a:80');
    expect(refused.take()[0]?.localities).toMatchObject([{ ...NONE, errors: 1, issued: 1 }]);
  });

  test('judges gRPC by its status, which may come with the trailers', async () => {
    const completions: Completion[] = [];
    const { send, take } = started(({ path }) => {
      if (path === '/at-once') return { status: 200, headers: { 'grpc-status': '14' } };
      const completion = new Completion();
      completions.push(completion);
      return { status: 200, completion };
    });
    const call = (path: string) =>
      send('a:80', { path, headers: HeaderMap.from([['content-type', 'application/grpc']]) });
    await call('/at-once');
    for (let i = 0; i < 4; i++) await call('/later');
    expect(take()[0]?.localities).toMatchObject([{ ...NONE, errors: 1, issued: 5, inProgress: 4 }]);
    completions[0]?.settle(HeaderMap.from([['grpc-status', '0']]));
    // NOT_FOUND stands for 404, which is no error; INTERNAL is one, and so is the end without a status.
    completions[1]?.settle(HeaderMap.from([['grpc-status', '5']]));
    completions[2]?.settle(HeaderMap.from([['grpc-status', '13']]));
    completions[3]?.settle();
    expect(take()[0]?.localities).toMatchObject([{ ...NONE, successes: 2, errors: 2 }]);
  });

  test('tells what was dropped, by category and by circuit breakers', () => {
    const half = { numerator: 100, denominator: 100 } as const;
    const { cluster, take } = started(undefined, {
      ...endpoints('a'),
      dropOverloads: [{ category: 'throttle', percentage: half }],
    });
    cluster.shed();
    cluster.shed();
    cluster.overflowed();
    expect(take()).toMatchObject([{ dropped: 3, drops: [{ category: 'throttle', count: 2 }] }]);
    expect(take()).toMatchObject([{ dropped: 0, drops: [] }]);
  });

  test('adds up the figures of endpoints that are asked for', async () => {
    let cpu = 0;
    const { send, take, network } = started(
      () => {
        cpu += 0.25;
        const load = `TEXT cpu_utilization=${cpu},named_metrics.queue=3,named_metrics.other=1,utilization.disk=0.5`;
        return { status: 200, headers: { 'endpoint-load-metrics': load } };
      },
      undefined,
      {
        loadReporting: {
          metrics: ['named_metrics.queue', 'cpu_utilization', 'utilization.*', 'nonsense', 'x.y'],
        },
      },
    );
    await send('a:80');
    await send('b:80');
    expect(network.attempts[0]?.request.headers.get('endpoint-load-metrics-format')).toBe('TEXT');
    const [load] = take(true);
    expect(load?.localities[0]?.metrics).toEqual([
      { name: 'named_metrics.queue', count: 2, sum: 6 },
      { name: 'cpu_utilization', count: 2, sum: 0.75 },
      { name: 'utilization.disk', count: 2, sum: 1 },
    ]);
    expect(load?.localities[0]?.endpoints[1]?.metrics[1]).toEqual({
      name: 'cpu_utilization',
      count: 1,
      sum: 0.5,
    });
    expect(take(true)[0]?.localities).toEqual([]);
  });

  test('is not lost with a host that leaves, nor with what it still carries', async () => {
    const completion = new Completion();
    const { send, take, cluster } = started(({ path }) =>
      path === '/long' ? { status: 200, completion } : { status: 200 },
    );
    await send('a:80');
    await send('a:80', { path: '/long' });
    cluster.update({ cluster: cluster.config, assignment: endpoints('b') });
    expect(take(true)[0]?.localities).toMatchObject([{ ...NONE, successes: 2, issued: 2, inProgress: 1 }]);
    completion.settle();
    expect(take(true)[0]?.localities).toEqual([]);
  });

  test('survives changes of the configuration', async () => {
    const { send, take, cluster, make } = started();
    await send('a:80');
    const next = make({ maxRequestsPerConnection: 7 }, cluster);
    await cluster.close(next.hosts);
    await next.send(next.hosts.get('a:80')!, request());
    expect(take()).toMatchObject([{ localities: [{ successes: 2 }] }]);
  });

  test('is told once more when the cluster is gone, and then no more', async () => {
    const { send, take, cluster, ledger } = started();
    await send('a:80');
    const changes: number[] = [];
    ledger.onChange(() => changes.push(ledger.names.size));
    await cluster.close();
    expect(take()).toMatchObject([{ localities: [{ successes: 1 }] }]);
    expect(changes).toEqual([0]);
    expect(take()).toEqual([]);
  });

  test('is nothing where the cluster does not ask for it', async () => {
    const { send, take, cluster } = started(undefined, undefined, { loadReporting: undefined });
    await send('a:80');
    expect(take()).toEqual([]);
    expect(cluster.hosts.get('a:80')?.counts).toBeUndefined();
  });

  test('waits for whoever wants to know', async () => {
    const { send, ledger } = started();
    await send('a:80');
    expect(ledger.take(ANY_CLUSTER, (name) => name === 'other', false)).toEqual([]);
    expect(ledger.take(ANY_CLUSTER, (name) => name === 'reviews', false)).toMatchObject([
      { localities: [{ successes: 1 }] },
    ]);
  });
});
