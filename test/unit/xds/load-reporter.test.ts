import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { encodeDuration } from '../../../src/codec/duration.js';
import { NO_LOCALITY } from '../../../src/model/endpoint.js';
import type { ClusterLoad } from '../../../src/model/load-stats.js';
import type { Node } from '../../../src/model/node.js';
import { loadStats } from '../../../src/proto/xds.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { LoadReporter } from '../../../src/xds/load-reporter.js';
import type { StreamListener } from '../../../src/xds/stream.js';

const NODE: Node = {
  id: 'sidecar~1',
  cluster: 'client',
  locality: NO_LOCALITY,
  metadata: { NAMESPACE: 'default', SERVICE_ACCOUNT: '', LABELS: {}, INSTANCE_IPS: '', GENERATOR: 'grpc' },
};

const NUMBERS = { successes: 3, errors: 1, inProgress: 2, issued: 5 };

function load(clusterName: string, more: Partial<ClusterLoad> = {}): ClusterLoad {
  return { clusterName, serviceName: '', localities: [], dropped: 0, drops: [], intervalMs: 0, ...more };
}

function started(loads: () => readonly ClusterLoad[] = () => []) {
  const clock = createFakeClock();
  const sent: loadStats.LoadStatsRequest[] = [];
  const asked: { readonly names: readonly string[]; readonly withEndpoints: boolean }[] = [];
  const streams: StreamListener[] = [];
  let closed = 0;
  const reporter = new LoadReporter({
    open: async (method, listener) => {
      expect(method).toBe('/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats');
      streams.push(listener);
      return {
        send: (bytes) => void sent.push(fromBinary(loadStats.LoadStatsRequestSchema, bytes)),
        close: () => void closed++,
      };
    },
    node: NODE,
    clock,
    random: () => 0.5,
    logger: silentLogger,
    take: (isWanted, withEndpoints) => {
      asked.push({ names: ['a', 'b'].filter(isWanted), withEndpoints });
      return loads();
    },
  });
  const answer = async (
    intervalMs: number,
    more: MessageInitShape<typeof loadStats.LoadStatsResponseSchema> = {},
  ) => {
    const message = create(loadStats.LoadStatsResponseSchema, more);
    message.loadReportingInterval = encodeDuration(intervalMs);
    streams.at(-1)?.onMessage(toBinary(loadStats.LoadStatsResponseSchema, message));
    await clock.advance(0);
  };
  const lose = async () => {
    streams.at(-1)?.onEnd(new MeshError('INMESH_CONTROL_PLANE_UNAVAILABLE', 'gone'));
    await clock.advance(0);
  };
  return { clock, reporter, sent, asked, streams, answer, lose, closed: () => closed };
}

describe('a load reporter', () => {
  test('says who it is, and nothing more before it is asked', async () => {
    const { clock, reporter, sent } = started();
    reporter.start();
    reporter.start();
    await clock.advance(60_000);
    expect(sent).toHaveLength(1);
    expect(sent[0]?.node?.id).toBe(NODE.id);
    expect(sent[0]?.node?.clientFeatures).toContain('envoy.lrs.supports_send_all_clusters');
    expect(sent[0]?.clusterStats).toEqual([]);
    await reporter.stop();
    expect(clock.pending).toBe(0);
  });

  test('reports the clusters that were named, every interval', async () => {
    const { clock, reporter, sent, asked, answer } = started(() => [load('a', { intervalMs: 1500.5 })]);
    reporter.start();
    await clock.advance(0);
    await answer(2000, { clusters: ['a'] });
    await clock.advance(1999);
    expect(asked).toEqual([]);
    await clock.advance(1);
    await clock.advance(2000);
    expect(asked).toEqual([
      { names: ['a'], withEndpoints: false },
      { names: ['a'], withEndpoints: false },
    ]);
    expect(sent).toHaveLength(3);
    expect(sent[1]?.node).toBeUndefined();
    expect(sent[1]?.clusterStats[0]).toMatchObject({
      clusterName: 'a',
      loadReportInterval: { seconds: 1n, nanos: 500_500_000 },
    });
    await reporter.stop();
  });

  test('all of them on demand, with endpoints; what is said again does not put the next report off', async () => {
    const { clock, reporter, asked, answer } = started();
    reporter.start();
    await clock.advance(0);
    await answer(1000, { clusters: ['a'] });
    await clock.advance(600);
    await answer(1000, { sendAllClusters: true, reportEndpointGranularity: true });
    await clock.advance(400);
    expect(asked).toEqual([{ names: ['a', 'b'], withEndpoints: true }]);
    await answer(5000, { sendAllClusters: true });
    await clock.advance(4999);
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    expect(asked).toHaveLength(2);
    await reporter.stop();
  });

  test('takes nothing while no stream stands, and reports it when the server is back and asks', async () => {
    const { clock, reporter, sent, asked, streams, answer, lose } = started();
    reporter.start();
    await clock.advance(0);
    await answer(1000, { sendAllClusters: true });
    await lose();
    await clock.advance(999);
    expect(streams).toHaveLength(1);
    await clock.advance(1);
    expect(streams).toHaveLength(2);
    await clock.advance(60_000);
    expect(asked).toEqual([]);
    expect(sent).toHaveLength(2);
    await answer(1000, { sendAllClusters: true });
    await clock.advance(1000);
    expect(asked).toHaveLength(1);
    await reporter.stop();
  });

  test('waits longer and longer for a server that has no such service', async () => {
    const { clock, reporter, streams, lose } = started();
    reporter.start();
    await clock.advance(0);
    const at: number[] = [];
    for (let i = 0; i < 4; i++) {
      const before = streams.length;
      await lose();
      const since = clock.now();
      while (streams.length === before) await clock.advance(100);
      at.push(clock.now() - since);
    }
    expect(at).toEqual([1000, 1600, 2600, 4100]);
    await reporter.stop();
  });

  test('ends with the last cluster, and starts again', async () => {
    const { clock, reporter, streams, closed } = started();
    reporter.start();
    await clock.advance(0);
    await reporter.stop();
    expect(closed()).toBe(1);
    reporter.start();
    await clock.advance(0);
    expect(streams).toHaveLength(2);
    await reporter.stop();
  });

  test('a server that asks for reports without end is held to ten a second; a bad answer ends the stream', async () => {
    const { clock, reporter, asked, streams, answer } = started();
    reporter.start();
    await clock.advance(0);
    await answer(0, { sendAllClusters: true });
    await clock.advance(1000);
    expect(asked).toHaveLength(10);
    streams.at(-1)?.onMessage(new Uint8Array([0xff]));
    await clock.advance(5000);
    expect(streams.length).toBeGreaterThan(1);
    await reporter.stop();
  });

  test('writes everything that was counted', async () => {
    const metrics = [
      { name: 'cpu_utilization', count: 2, sum: 1.5 },
      { name: 'named_metrics.queue', count: 1, sum: 7 },
    ];
    const { clock, reporter, sent, answer } = started(() => [
      load('a', {
        serviceName: 'eds',
        dropped: 4,
        drops: [{ category: 'throttle', count: 3 }],
        localities: [
          {
            locality: { region: 'eu', zone: 'west', subZone: 'x' },
            priority: 1,
            ...NUMBERS,
            metrics,
            endpoints: [{ address: { address: '10.0.0.1', port: 80 }, ...NUMBERS, metrics }],
          },
        ],
      }),
    ]);
    reporter.start();
    await clock.advance(0);
    await answer(1000, { sendAllClusters: true });
    await clock.advance(1000);
    const queue = {
      metricName: 'named_metrics.queue',
      numRequestsFinishedWithMetric: 1n,
      totalMetricValue: 7,
    };
    const cpu = { metricName: 'cpu_utilization', numRequestsFinishedWithMetric: 2n, totalMetricValue: 1.5 };
    const numbers = {
      totalSuccessfulRequests: 3n,
      totalErrorRequests: 1n,
      totalRequestsInProgress: 2n,
      totalIssuedRequests: 5n,
    };
    expect(sent[1]?.clusterStats).toMatchObject([
      {
        clusterName: 'a',
        clusterServiceName: 'eds',
        totalDroppedRequests: 4n,
        droppedRequests: [{ category: 'throttle', droppedCount: 3n }],
        upstreamLocalityStats: [
          {
            locality: { region: 'eu', zone: 'west', subZone: 'x' },
            priority: 1,
            ...numbers,
            cpuUtilization: { numRequestsFinishedWithMetric: 2n, totalMetricValue: 1.5 },
            loadMetricStats: [queue],
            upstreamEndpointStats: [
              {
                address: { address: { value: { address: '10.0.0.1', portSpecifier: { value: 80 } } } },
                ...numbers,
                loadMetricStats: [cpu, queue],
              },
            ],
          },
        ],
      },
    ]);
    await reporter.stop();
  });
});
