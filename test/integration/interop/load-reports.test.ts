import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../mesh/support.js';
import { type GrpcCall, STATUS } from './ads/grpc-stream.js';
import { encodeJson } from './ads/json.js';
import { protoType } from './ads/protos.js';
import type { IndependentAds } from './ads/server.js';
import { apiListener, byRds, edsCluster, endpointsAt, routesTo, toCluster } from './ads/shop.js';
import { type Backend, startBackend } from './backends.js';
import { ask, joinMesh, startAds } from './support.js';

const METHOD = '/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats';
/** This control plane issues no certificates: nobody need wait for one. */
const SOON = { configurationTimeoutMs: 1000 };
const LOAD_STATS = 'envoy.service.load_stats.v3';

let a: Backend;
let b: Backend;
beforeAll(async () => {
  a = await startBackend('a', (_request, response) => {
    response.setHeader('endpoint-load-metrics', 'TEXT named_metrics.queue=3,cpu_utilization=0.5').end('a');
  });
  b = await startBackend('b', (_request, response) => response.writeHead(503).end('b'));
});
afterAll(() => Promise.all([a.close(), b.close()]));

/** What a report says of a cluster, as far as it is looked at here. */
interface ClusterStats {
  readonly cluster_name: string;
  readonly cluster_service_name: string;
  readonly load_report_interval?: { readonly seconds: unknown; readonly nanos: number };
  readonly total_dropped_requests: unknown;
  readonly upstream_locality_stats: readonly LocalityStats[];
}

interface LocalityStats {
  readonly locality: { readonly region: string };
  readonly total_successful_requests: unknown;
  readonly total_error_requests: unknown;
  readonly total_issued_requests: unknown;
  readonly load_metric_stats: readonly {
    readonly metric_name: string;
    readonly total_metric_value: number;
  }[];
}

interface Report {
  readonly node?: { readonly client_features: readonly string[] } | null;
  readonly cluster_stats: readonly ClusterStats[];
}

/** A load reporting server that names the clusters, in this order. */
function collect(ads: IndependentAds, clusters: readonly string[]) {
  const reports: Report[] = [];
  const calls: GrpcCall[] = [];
  ads.services.set(METHOD, (call) => {
    calls.push(call);
    return {
      onMessage(bytes) {
        // The type's messages have these fields.
        const report = protoType(`${LOAD_STATS}.LoadStatsRequest`).decode(bytes) as Report;
        reports.push(report);
        if (report.node === undefined || report.node === null) return;
        call.send(
          encodeJson(`${LOAD_STATS}.LoadStatsResponse`, {
            clusters: [...clusters],
            load_reporting_interval: '0.1s',
          }),
        );
      },
      onEnd() {},
    };
  });
  /** What all reports say of a cluster together. */
  const total = (name: string, field: keyof LocalityStats) =>
    reports
      .flatMap(({ cluster_stats }) => cluster_stats)
      .filter(({ cluster_name }) => cluster_name === name)
      .flatMap(({ upstream_locality_stats: localities }) => localities)
      .reduce((sum, locality) => sum + Number(locality[field]), 0);
  return { reports, calls, total };
}

function putReporting(ads: IndependentAds): void {
  for (const [name, { port }] of [
    ['first', a],
    ['second', b],
  ] as const) {
    ads.world.put('LDS', `${name}.mesh:80`, apiListener(byRds(`${name}-routes`)));
    ads.world.put('RDS', `${name}-routes`, routesTo(toCluster(name)));
    const reporting = { lrs_server: { self: {} }, lrs_report_endpoint_metrics: ['named_metrics.*'] };
    ads.world.put('CDS', name, edsCluster(`${name}-endpoints`, reporting));
    ads.world.put('EDS', `${name}-endpoints`, endpointsAt(port));
  }
}

describe.concurrent('load is reported to the server that the clusters came from', () => {
  test('all of it: that of the first cluster that is named, too, and nothing twice', async (context) => {
    const ads = await startAds(context);
    putReporting(ads);
    const { reports, total } = collect(ads, ['first', 'second']);
    const mesh = await joinMesh(ads, context, SOON);
    for (let i = 0; i < 40; i++) {
      expect(await ask(mesh, 'first.mesh')).toBe('200 a');
      if (i < 10) expect(await ask(mesh, 'second.mesh')).toBe('503 b');
    }
    await eventually('the reports', () => total('second', 'total_issued_requests') === 10);
    await eventually('the reports', () => total('first', 'total_issued_requests') === 40);
    const before = reports.length;
    await eventually('more reports', () => reports.length >= before + 3);
    expect(total('first', 'total_issued_requests')).toBe(40);
    expect(total('first', 'total_successful_requests')).toBe(40);
    expect(total('first', 'total_error_requests')).toBe(0);
    expect(total('second', 'total_error_requests')).toBe(10);
    expect(reports[0]?.node?.client_features).toContain('envoy.lrs.supports_send_all_clusters');
    expect(reports[0]?.cluster_stats).toEqual([]);
    const stats = reports.flatMap(({ cluster_stats }) => cluster_stats);
    expect(stats[0]).toMatchObject({ cluster_name: 'first', cluster_service_name: 'first-endpoints' });
    const metrics = stats.flatMap(({ upstream_locality_stats: localities }) =>
      localities.flatMap(({ load_metric_stats }) => load_metric_stats),
    );
    expect(new Set(metrics.map(({ metric_name }) => metric_name))).toEqual(new Set(['named_metrics.queue']));
    expect(metrics.reduce((sum, { total_metric_value: value }) => sum + value, 0)).toBe(120);
  });

  test('also what was counted while that server was away', async (context) => {
    const ads = await startAds(context);
    putReporting(ads);
    const { calls, total, reports } = collect(ads, ['first', 'second']);
    const mesh = await joinMesh(ads, context, SOON);
    expect(await ask(mesh, 'first.mesh')).toBe('200 a');
    await eventually('a report', () => total('first', 'total_issued_requests') === 1);
    calls[0]?.end(STATUS.UNAVAILABLE, 'restart');
    for (let i = 0; i < 5; i++) expect(await ask(mesh, 'first.mesh')).toBe('200 a');
    await eventually('another stream', () => calls.length === 2);
    await eventually('the rest', () => total('first', 'total_issued_requests') === 6);
    const before = reports.length;
    await eventually('more reports', () => reports.length >= before + 2);
    expect(total('first', 'total_issued_requests')).toBe(6);
  });
});
