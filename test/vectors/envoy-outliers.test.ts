import { describe, expect, test } from 'vitest';
import type { Host } from '../../src/cluster/host.js';
import { OutlierDetector } from '../../src/cluster/outlier/detector.js';
import { parseDuration } from '../../src/model/duration.js';
import type { EjectionEvent } from '../../src/service/observer.js';
import { host, outlierConfig } from '../unit/cluster/fixtures.js';
import { hasVectors, readCases } from './envoy-config.js';

interface Expected {
  readonly event: string;
  readonly host: number;
  readonly type?: string;
  readonly enforced?: boolean;
}
interface Step {
  readonly op: 'report' | 'expect' | 'set_time_ms' | 'interval_timer' | 'runtime' | 'random';
  readonly host?: number | 'all';
  readonly times?: number;
  readonly http_status?: number;
  readonly result?: string;
  readonly t?: number;
  readonly key?: string;
  readonly value?: number;
  readonly ejected?: boolean;
  readonly expect_events?: readonly Expected[];
}
interface OutlierCase {
  readonly name: string;
  readonly line: number;
  readonly hosts: number;
  readonly config: Readonly<Record<string, string | number | boolean>>;
  readonly steps: readonly Step[];
}

// Success rate and degraded hosts are not in the model yet.
const cases = readCases<OutlierCase>('vectors/outlier_detection.json').filter(
  ({ name, steps }) =>
    !name.includes('SuccessRate') && steps.every(({ result }) => result?.includes('DEGRADED') !== true),
);

const NAMES: Readonly<Record<string, string>> = { CONSECUTIVE_5XX: 'Consecutive5xx' };

describe.runIf(hasVectors)('outlier detection, as Envoy tests it', () => {
  test.each(cases)('$name, line $line', ({ hosts: count, config, steps }) => {
    const hosts = new Map<string, Host>();
    for (let i = 0; i < count; i++) hosts.set(`${i}:80`, host(String(i)));
    const all = [...hosts.values()];
    let now = 0;
    let events: Omit<EjectionEvent, 'cluster'>[] = [];
    const percent = steps.find(({ key }) => key === 'max_ejection_percent')?.value;
    const detector = new OutlierDetector(
      outlierConfig({
        maxEjectionPercent: percent ?? Number(config['max_ejection_percent'] ?? 10),
        maxEjectionTimeJitterMs: parseDuration(String(config['max_ejection_time_jitter'] ?? '0s')) ?? 0,
      }),
      {
        random: () => 0,
        now: () => now,
        hosts: () => hosts,
        onChange: () => {},
        onEvent: (event) => events.push(event),
      },
    );
    for (const step of steps) {
      events = [];
      if (step.op === 'set_time_ms') now = step.t ?? 0;
      if (step.op === 'interval_timer') detector.tick();
      if (step.op === 'report') {
        const targets = step.host === 'all' ? all : [all[step.host ?? 0]!];
        for (const one of targets) {
          for (let i = 0; i < (step.times ?? 1); i++) detector.reportStatus(one, step.http_status ?? 0);
        }
      }
      for (const { event, host: at, type = '', enforced = true } of step.expect_events ?? []) {
        expect(events).toContainEqual({ action: event, host: `${at}:80`, type: NAMES[type], enforced });
      }
      if (step.op === 'expect' && typeof step.host === 'number') {
        expect(all[step.host]?.ejected).toBe(step.ejected);
      }
    }
  });

  test('2 are in scope', () => expect(cases.length).toBe(2));
});
