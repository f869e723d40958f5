import { describe, expect, test } from 'vitest';
import { createCluster } from '../../../../src/cluster/cluster.js';
import type { ReportListener, ReportTarget } from '../../../../src/cluster/orca/report-stream.js';
import type { ClusterLoadAssignment } from '../../../../src/model/endpoint.js';
import type { ClientSideWrrPolicy } from '../../../../src/model/lb-policy.js';
import type { LoadReport } from '../../../../src/model/load-report.js';
import type { MemoryEndpoint } from '../../../../src/testing/memory-transport.js';
import { ANY, clusterConfig, endpoints, request, world } from '../fixtures.js';

const POLICY: ClientSideWrrPolicy = {
  kind: 'client-side-wrr',
  oobPeriodMs: 10_000,
  blackoutMs: 0,
  expirationMs: 180_000,
  updateMs: 1000,
  errorPenalty: 1,
  metricNames: [],
};

function load(rps: number): LoadReport {
  const none = new Map<string, number>();
  const zero = { memUtilization: 0, applicationUtilization: 0, eps: 0 };
  return { ...zero, cpuUtilization: 1, rps, utilization: none, requestCost: none, namedMetrics: none };
}

/** One stream that the cluster opened. */
interface Opened extends ReportListener {
  readonly target: ReportTarget;
  closed: boolean;
}

function started(
  policy: Partial<ClientSideWrrPolicy> = {},
  given: ClusterLoadAssignment = endpoints('a', 'b'),
  answer: MemoryEndpoint = () => ({ status: 200 }),
) {
  const { tools, clock, network } = world(answer);
  const streams: Opened[] = [];
  const cluster = createCluster(
    { cluster: clusterConfig({ lbPolicy: { ...POLICY, ...policy } }), assignment: given },
    {
      ...tools,
      openReportStream: (target, listener) => {
        const stream = { target, closed: false, report: listener.report, ended: listener.ended };
        streams.push(stream);
        return {
          close: () => {
            stream.closed = true;
          },
        };
      },
    },
  );
  const send = async (address?: string) => {
    const host = address === undefined ? cluster.pick(ANY) : cluster.hosts.get(address);
    if (host === undefined) throw new Error('no host');
    await cluster.send(host, request()).catch(() => {});
    return host.address;
  };
  const open = () => streams.filter(({ closed }) => !closed).map(({ target }) => target.host.address);
  return { clock, network, cluster, streams, send, open };
}

const stats = (cluster: ReturnType<typeof started>['cluster']) => cluster.stats().loadStreams;

describe('streams of reports', () => {
  test('are opened to the hosts in use, within the first period', async () => {
    const { clock, send, open, streams, cluster } = started();
    await clock.advance(20_000);
    expect(open()).toEqual([]);
    await send('a:80');
    await send('a:80');
    await clock.advance(10_000);
    expect(open()).toEqual(['a:80']);
    expect(streams[0]?.target.periodMs).toBe(10_000);
    await cluster.close();
    expect(open()).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test('give hosts their weights, and no response is asked for one', async () => {
    const { clock, send, streams, cluster, network } = started();
    await send('a:80');
    await send('b:80');
    await clock.advance(10_000);
    for (const { report, target } of streams) report(load(target.host.address === 'a:80' ? 300 : 100));
    await clock.advance(1000);
    const counts: Record<string, number> = {};
    for (let i = 0; i < 40; i++) {
      const address = await send();
      counts[address] = (counts[address] ?? 0) + 1;
    }
    expect(counts).toEqual({ 'a:80': 30, 'b:80': 10 });
    expect(network.attempts.every((one) => !one.request.headers.has('endpoint-load-metrics-format'))).toBe(
      true,
    );
    expect(stats(cluster)).toEqual({ active: 2, reports: 2, failures: 0, terminated: 0 });
  });

  test('are opened again after waits that grow until a report comes', async () => {
    const { clock, send, streams, cluster } = started();
    await send('a:80');
    await clock.advance(10_000);
    const waits: number[] = [];
    for (let i = 0; i < 12; i++) {
      const before = streams.length;
      streams.at(-1)?.ended({ isUnimplemented: false, message: 'reset' });
      const since = clock.now();
      while (streams.length === before) await clock.advance(50);
      waits.push(clock.now() - since);
    }
    expect(Math.max(...waits)).toBeGreaterThan(5000);
    expect(Math.max(...waits)).toBeLessThanOrEqual(30_050);
    streams.at(-1)?.report(load(1));
    const before = streams.length;
    streams.at(-1)?.ended({ isUnimplemented: false, message: 'reset' });
    await clock.advance(1000);
    expect(streams.length).toBe(before + 1);
    expect(stats(cluster)?.failures).toBe(13);
  });

  test('that bring nothing for three periods are given up and opened again', async () => {
    const { clock, send, streams, open } = started({ oobPeriodMs: 1000 });
    await send('a:80');
    await clock.advance(1000);
    streams[0]?.report(load(1));
    await clock.advance(2900);
    expect(streams[0]?.closed).toBe(false);
    await clock.advance(100);
    expect(streams[0]?.closed).toBe(true);
    await clock.advance(1000);
    expect(open()).toEqual(['a:80']);
  });

  test('are not asked for again of a server that has none, before that one was gone', async () => {
    let isDown = false;
    const { clock, send, streams, cluster } = started({}, endpoints('a'), () =>
      isDown ? { failure: 'connect' } : { status: 200 },
    );
    await send('a:80');
    await clock.advance(10_000);
    streams[0]?.ended({ isUnimplemented: true, message: 'no such service' });
    await send('a:80');
    await clock.advance(60_000);
    expect(streams).toHaveLength(1);
    expect(stats(cluster)).toMatchObject({ failures: 0, terminated: 1 });
    isDown = true;
    await send('a:80');
    isDown = false;
    await send('a:80');
    await clock.advance(10_000);
    expect(streams).toHaveLength(2);
  });

  test('end with their host', async () => {
    const { clock, send, open, cluster } = started();
    await send('a:80');
    await send('b:80');
    await clock.advance(10_000);
    expect(open()).toEqual(expect.arrayContaining(['a:80', 'b:80']));
    cluster.update({ cluster: cluster.config, assignment: endpoints('b') });
    expect(open()).toEqual(['b:80']);
  });

  test('end when their host had no request for as long as connections may be idle', async () => {
    const { clock, send, open, streams } = started();
    await send('a:80');
    await clock.advance(10_000);
    for (let i = 0; i < 6; i++) {
      await clock.advance(10_000);
      streams.at(-1)?.report(load(1));
    }
    expect(open()).toEqual(['a:80']);
    await clock.advance(10_000);
    streams.at(-1)?.report(load(1));
    expect(open()).toEqual([]);
    await send('a:80');
    await clock.advance(10_000);
    expect(open()).toEqual(['a:80']);
  });
});
