import type { GrpcCall, GrpcCallListener } from './grpc-stream.js';
import { protoType } from './protos.js';
import type { Referee } from './referee.js';

/** What a client reported of a cluster in one interval. */
export interface LoadReport {
  readonly cluster: string;
  readonly successful: number;
  readonly failed: number;
  readonly issued: number;
  readonly dropped: number;
}

interface LoadStats {
  readonly node: { readonly id: string } | null;
  readonly cluster_stats: readonly {
    readonly cluster_name: string;
    readonly total_dropped_requests: Numeric;
    readonly upstream_locality_stats: readonly {
      readonly total_successful_requests: Numeric;
      readonly total_error_requests: Numeric;
      readonly total_issued_requests: Numeric;
    }[];
  }[];
}

/** 64-bit numbers come as numbers or as objects that print themselves. */
type Numeric = number | { toString(): string };

export const LRS_METHOD = '/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats';

/** Asks a client for the load of clusters, and gathers what it reports. */
export function lrsSession(
  call: GrpcCall,
  { clusters, referee, reports }: { clusters: readonly string[]; referee: Referee; reports: LoadReport[] },
): GrpcCallListener {
  let isFirst = true;
  return {
    onMessage(message) {
      // The type has these fields; protobufjs gives absent ones their defaults.
      const stats = protoType('envoy.service.load_stats.v3.LoadStatsRequest').decode(message) as LoadStats;
      if (isFirst) {
        if (!stats.node?.id) referee.blame('the first request names the node', 'LRS');
        if (stats.cluster_stats.length > 0) referee.blame('the first request reports nothing', 'LRS');
        call.send(
          protoType('envoy.service.load_stats.v3.LoadStatsResponse')
            .encode({ clusters, load_reporting_interval: { seconds: 0, nanos: 50_000_000 } })
            .finish(),
        );
      }
      isFirst = false;
      for (const one of stats.cluster_stats) reports.push(reportOf(one));
    },
    onEnd() {},
  };
}

function reportOf(stats: LoadStats['cluster_stats'][number]): LoadReport {
  const places = stats.upstream_locality_stats;
  const sum = (values: readonly Numeric[]) =>
    values.reduce<number>((total, value) => total + Number(String(value)), 0);
  return {
    cluster: stats.cluster_name,
    successful: sum(places.map((one) => one.total_successful_requests)),
    failed: sum(places.map((one) => one.total_error_requests)),
    issued: sum(places.map((one) => one.total_issued_requests)),
    dropped: Number(String(stats.total_dropped_requests)),
  };
}
