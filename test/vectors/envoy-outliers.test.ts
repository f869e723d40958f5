import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import type { Host } from '../../src/cluster/host.js';
import { OutlierDetector, type OutlierEvent } from '../../src/cluster/outlier/detector.js';
import { successRates } from '../../src/cluster/outlier/success-rate.js';
import { CLUSTER } from '../../src/codec/resource-types.js';
import type { OutlierDetection } from '../../src/model/cluster.js';
import { remainderOf } from '../../src/runtime/random.js';
import { host } from '../unit/cluster/fixtures.js';
import { clusterWith, decoded } from '../unit/codec/wire.js';
import { hasVectors, readCases, readText } from './envoy-config.js';

interface Expected {
  readonly event: 'eject' | 'uneject';
  readonly host: number;
  readonly type?: string;
  readonly enforced?: boolean;
  readonly count?: number;
}
interface Step {
  readonly op: string;
  readonly host?: number | 'all';
  readonly times?: number;
  readonly http_status?: number;
  readonly result?: string;
  readonly t?: number;
  readonly key?: string;
  readonly value?: number;
  readonly monitor?: string;
  readonly ejected?: boolean;
  readonly degraded?: boolean;
  readonly success_rate?: number;
  readonly average?: number;
  readonly threshold?: number;
  readonly ejections_active?: number;
  readonly expect_events?: readonly Expected[];
}
interface OutlierCase {
  readonly name: string;
  readonly line: number;
  readonly hosts: number;
  readonly config: JsonObject;
  readonly steps: readonly Step[];
}

const FILE = 'vectors/outlier_detection.json';
const cases = readCases<OutlierCase>(FILE);

/** `CONSECUTIVE_5XX` as `Consecutive5xx`. */
const nameOf = (type: string) =>
  type
    .toLowerCase()
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');

/** Runtime keys are the names of fields; those of durations end in `_ms`. */
function withRuntime(config: JsonObject, { key = '', value = 0 }: Step): JsonObject {
  return key.endsWith('_ms') ? { ...config, [key.slice(0, -3)]: `${value / 1000}s` } : { ...config, [key]: value };
}

const decode = (config: JsonObject): OutlierDetection => {
  const { outlierDetection } = decoded(CLUSTER, clusterWith({ outlierDetection: config }));
  if (outlierDetection === undefined) throw new Error('no outlier detection');
  return outlierDetection;
};

function start({ hosts: count, config }: OutlierCase) {
  const hosts = new Map(Array.from({ length: count }, (_, i): [string, Host] => [`${i}:80`, host(String(i))]));
  const state = { now: 0, draw: 0, json: config, counted: new Map<string, number>() };
  // What the runtime overrides holds at once, so the very object changes.
  const live = { ...decode(config) };
  const detector = new OutlierDetector(live, {
    random: () => state.draw / 2 ** 32,
    now: () => state.now,
    hosts: () => hosts,
    onChange: () => {},
    onEvent: (event) => {
      const key = keyOf(event);
      state.counted.set(key, (state.counted.get(key) ?? 0) + 1);
    },
  });
  return { hosts: [...hosts.values()], state, live, detector };
}

/** Envoy's log of a return names no detector. */
const keyOf = ({ host: at, action, type, enforced }: Pick<OutlierEvent, 'host' | 'action' | 'type' | 'enforced'>) =>
  action === 'uneject' ? `uneject ${at}` : `eject ${at} ${type} ${enforced}`;

function report({ detector, live }: World, one: Host, { result, http_status: status }: Step): void {
  const isSplit = live.splitExternalLocalOriginErrors;
  // Envoy: a status overrides what the result stands for, unless local errors are told apart.
  if (!isSplit && status !== undefined && result?.startsWith('LOCAL') === true) {
    return detector.reportStatus(one, status);
  }
  switch (result) {
    case 'LOCAL_ORIGIN_TIMEOUT':
      return detector.reportLocalOrigin(one, 'timeout');
    case 'LOCAL_ORIGIN_CONNECT_FAILED':
      return detector.reportLocalOrigin(one, 'connect-failure');
    case 'LOCAL_ORIGIN_CONNECT_SUCCESS':
      return detector.reportLocalOrigin(one, 'connect-success');
    case 'LOCAL_ORIGIN_CONNECT_SUCCESS_FINAL':
      return detector.reportLocalOrigin(one, 'connect-success-final');
    case 'EXT_ORIGIN_REQUEST_FAILED':
      return detector.reportStatus(one, status ?? (isSplit ? 503 : 500));
    case 'EXT_ORIGIN_REQUEST_DEGRADED':
      detector.reportDegraded(one);
      return detector.reportStatus(one, status ?? 200);
    case undefined:
    case 'EXT_ORIGIN_REQUEST_SUCCESS':
      return detector.reportStatus(one, status ?? 200);
    default:
      throw new Error(`unknown result ${result}`);
  }
}

type World = ReturnType<typeof start>;

function check({ hosts, detector }: World, step: Step): void {
  const { monitor, host: at } = step;
  const stats = detector.stats();
  const isLocal = monitor === 'LocalOrigin';
  const rates = isLocal ? stats.localOriginSuccessRate : stats.successRate;
  const one = typeof at === 'number' ? hosts[at] : undefined;
  const found = {
    ejected: one?.ejected,
    degraded: one?.outlierDegraded,
    success_rate: (isLocal ? one?.outlier.local : one?.outlier.external)?.rate,
    average: rates.average,
    threshold: rates.threshold,
    ejections_active: stats.ejectionsActive,
  };
  const known = new Set(['op', 'monitor', 'host', 'expect_events']);
  const expected = Object.entries(step).filter(([key]) => !known.has(key));
  // A key that this reader does not know fails here.
  expect(found).toMatchObject(Object.fromEntries(expected));
}

function run(world: World, step: Step): void {
  const { detector, hosts, state, live } = world;
  switch (step.op) {
    case 'set_time_ms':
      state.now = step.t ?? 0;
      return;
    case 'random':
      state.draw = step.value ?? 0;
      return;
    case 'runtime':
      state.json = withRuntime(state.json, step);
      Object.assign(live, decode(state.json));
      return;
    case 'interval_timer':
      detector.tick();
      return;
    case 'report': {
      const targets = hosts.filter((_, i) => step.host === 'all' || step.host === i);
      for (const one of targets) for (let i = 0; i < (step.times ?? 1); i++) report(world, one, step);
      return;
    }
    case 'expect':
      return check(world, step);
    default:
      throw new Error(`unknown step ${step.op}`);
  }
}

describe.runIf(hasVectors)('outlier detection, as Envoy tests it', () => {
  test.each(cases)('$name, line $line', (one) => {
    const world = start(one);
    const expected = new Map<string, number>();
    for (const step of one.steps) {
      for (const { event, host: at, type = '', enforced = true, count = 1 } of step.expect_events ?? []) {
        const key = keyOf({ action: event, host: `${at}:80`, type: nameOf(type), enforced });
        expected.set(key, (expected.get(key) ?? 0) + count);
      }
      run(world, step);
      // An event may be expected some steps before it comes, never after.
      for (const [key, count] of world.state.counted) {
        expect({ key, count: Math.min(count, expected.get(key) ?? 0) }).toEqual({ key, count });
      }
    }
    expect(world.state.counted).toEqual(expected);
  });

  test('the threshold and the jitter are Envoy’s', () => {
    const vector = JSON.parse(readText(FILE)) as {
      threshold_formula_case: { success_rates: number[]; stdev_factor: number; average: number; ejection_threshold: number };
      jitter_case: { max_ejection_time_jitter_ms: number; random: number; jitter_ms: number };
    };
    const { success_rates, stdev_factor, average, ejection_threshold } = vector.threshold_formula_case;
    expect(successRates(success_rates, stdev_factor * 1000)).toEqual({ average, threshold: ejection_threshold });
    const { max_ejection_time_jitter_ms, random, jitter_ms } = vector.jitter_case;
    expect(remainderOf(random / 2 ** 32, max_ejection_time_jitter_ms + 1)).toBe(jitter_ms);
  });
});
