import type { ClientSideWrrPolicy } from '../../model/lb-policy.js';
import { type Agenda, createAgenda } from '../../runtime/agenda.js';
import type { Clock } from '../../runtime/clock.js';
import type { Host } from '../host.js';
import { LoadWeights } from '../orca/load-weights.js';
import { EdfSchedule } from './edf.js';
import { type ListBalancerTools, listBalancer } from './list-balancer.js';
import type { Balancer, ListPicker, ListPolicy } from './load-balancer.js';
import { createSlowStart, type SlowStarter } from './slow-start.js';

interface Tools extends ListBalancerTools {
  readonly clock: Clock;
  readonly agenda?: Agenda | undefined;
}

/** Envoy client_side_weighted_round_robin: round robin by weights that hosts report. */
export function clientSideWrr(policy: ClientSideWrrPolicy, tools: Tools, seed: number): Balancer {
  const weights = new LoadWeights(policy, {
    clock: tools.clock,
    agenda: tools.agenda ?? createAgenda(tools.clock),
  });
  const slowStart = createSlowStart(policy.slowStart, tools.clock);
  const inner = listBalancer(weightedByLoad(weights, seed, slowStart), policy, tools, seed);
  return {
    picker(sets) {
      weights.update(sets);
      return inner.picker(sets);
    },
    close: () => weights.close(),
  };
}

const weightOf = (host: Host): number => host.load?.weight ?? 1;

/** A schedule lasts until some weight changes. */
function weightedByLoad(weights: LoadWeights, seed: number, slowStart: SlowStarter | undefined): ListPolicy {
  const places = new Map<string, { next: number }>();
  const scaled = slowStart === undefined ? weightOf : (host: Host) => weightOf(host) * slowStart.factor(host);
  const prepare = (hosts: readonly Host[], source: string): ListPicker => {
    const isSlow = slowStart?.enter(hosts) ?? false;
    if (isSlow || !haveEqualLoads(hosts)) {
      const schedule = new EdfSchedule(hosts, scaled, seed);
      return () => schedule.pick();
    }
    const place = places.get(source) ?? { next: seed };
    places.set(source, place);
    return () => hosts[place.next++ % hosts.length];
  };
  return (hosts, source) => {
    if (hosts.length <= 1) return () => hosts[0];
    let epoch = weights.epoch;
    let picker = prepare(hosts, source);
    return () => {
      if (epoch !== weights.epoch) {
        epoch = weights.epoch;
        picker = prepare(hosts, source);
      }
      return picker();
    };
  };
}

function haveEqualLoads(hosts: readonly Host[]): boolean {
  const [first] = hosts;
  const weight = first && weightOf(first);
  for (const host of hosts) if (weightOf(host) !== weight) return false;
  return true;
}
