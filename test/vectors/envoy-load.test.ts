import { describe, expect, test } from 'vitest';
import { type Membership, partition } from '../../src/cluster/host-set.js';
import { localitySchedule } from '../../src/cluster/lb/locality-weights.js';
import { httpOfGrpc } from '../../src/cluster/outlier/status.js';
import { type PrioritySummary, priorityLoad } from '../../src/cluster/priority.js';
import { type EndpointHealth, NO_LOCALITY } from '../../src/model/endpoint.js';
import { host } from '../unit/cluster/fixtures.js';
import { readText } from './envoy-config.js';
import { hasVectors, vectorJson, vectorSuite } from './score.js';

const PRIORITIES = 'envoy/vectors/priority_load.json';
const LOCALITIES = 'envoy/vectors/locality_wrr.json';

function casesOf<T>(file: string): readonly T[] {
  return (vectorJson(file) as { readonly cases: readonly T[] } | undefined)?.cases ?? [];
}


interface Level {
  readonly hosts: number;
  readonly healthy: number;
  readonly degraded: number;
  readonly excluded: number;
  readonly overprovisioning_factor: number;
  readonly host_weights?: readonly number[];
}
interface PriorityCase {
  readonly name: string;
  readonly line: number;
  readonly panic_threshold: number;
  readonly priorities: readonly Level[];
  readonly weighted_priority_health?: boolean;
  readonly load?: readonly number[];
  readonly degraded_load?: readonly number[];
  readonly load_at?: Readonly<Record<string, number>>;
  readonly panic?: readonly boolean[];
}

function toSummary(level: Level, isWeighted: boolean): PrioritySummary {
  const { hosts, healthy, degraded, excluded } = level;
  const summary = { hosts, healthy, degraded, excluded, overprovisioningFactor: level.overprovisioning_factor };
  if (!isWeighted) return summary;
  // The order of hosts is healthy, degraded, excluded, other; without weights each host weighs 1.
  const weights = level.host_weights ?? Array.from({ length: hosts }, () => 1);
  const sum = (from: number, count: number) =>
    weights.slice(from, from + count).reduce((total, weight) => total + weight, 0);
  return {
    ...summary,
    weights: {
      hosts: sum(0, hosts),
      healthy: sum(0, healthy),
      degraded: sum(healthy, degraded),
      excluded: sum(healthy + degraded, excluded),
    },
  };
}


vectorSuite({
  file: PRIORITIES,
  cases: casesOf<PriorityCase>(PRIORITIES),
  title: ({ name, line }) => `${name}, line ${line}`,
  run: (one) => {
    const levels = one.priorities.map((level) => toSummary(level, one.weighted_priority_health === true));
    const load = priorityLoad(levels, one.panic_threshold);
    if (one.load !== undefined) expect(load.healthy).toEqual(one.load);
    if (one.degraded_load !== undefined) expect(load.degraded).toEqual(one.degraded_load);
    if (one.panic !== undefined) expect(load.panic).toEqual(one.panic);
    for (const [priority, share] of Object.entries(one.load_at ?? {})) {
      expect(load.healthy[Number(priority)]).toBe(share);
    }
  },
});

interface LocalityCase {
  readonly name: string;
  readonly weights?: readonly number[];
  readonly hosts?: readonly number[];
  readonly healthy?: readonly number[];
  readonly excluded?: readonly number[];
  readonly overprovisioning_factor?: number;
  readonly picks?: readonly number[];
  readonly counts?: readonly number[];
  readonly samples?: number;
}

vectorSuite({
  file: LOCALITIES,
  cases: casesOf<LocalityCase>(LOCALITIES),
  title: ({ name }) => name,
  run: (one) => {
    const { weights = [], hosts = [], healthy = [], excluded = [], overprovisioning_factor = 140 } = one;
    const groups = hosts.map((count, at) => {
      const health = (i: number): EndpointHealth => {
        if (i < (healthy[at] ?? 0)) return 'healthy';
        return i >= count - (excluded[at] ?? 0) ? 'draining' : 'unhealthy';
      };
      const members = Array.from({ length: count }, (_, i) => host(`${at}.${i}`, { health: health(i) }));
      return { locality: NO_LOCALITY, weight: weights[at] ?? 0, hosts: members };
    });
    const members: Membership = {
      hosts: new Map(),
      priorities: [groups],
      overprovisioningFactor: overprovisioning_factor,
      weightedPriorityHealth: false,
    };
    const [set] = partition(members);
    const schedule = localitySchedule(set!, 'healthy', 0);
    const pick = () => {
      const picked = schedule?.pick();
      return picked === undefined ? -1 : set!.localities.indexOf(picked);
    };
    if (one.picks !== undefined) expect(one.picks.map(pick)).toEqual(one.picks);
    else if (one.counts === undefined) expect(schedule).toBeUndefined();
    else {
      const counts = one.counts.map(() => 0);
      for (let i = 0; i < (one.samples ?? 0); i++) counts[pick()]!++;
      expect(counts).toEqual(one.counts);
    }
  },
});

describe.runIf(hasVectors)('gRPC statuses for outlier detection', () => {
  test('map to HTTP as in Envoy', () => {
    const { grpc_to_http: table } = JSON.parse(readText('vectors/grpc.json')) as {
      grpc_to_http: Record<string, number>;
    };
    for (const [grpc, http] of Object.entries(table)) expect(httpOfGrpc(grpc)).toBe(http);
  });
});
