import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Host } from '../../src/cluster/host.js';
import {
  type HostSet,
  type Membership,
  NO_MEMBERS,
  partition,
  reconcileHosts,
} from '../../src/cluster/host-set.js';
import type { Balancer, Picker } from '../../src/cluster/lb/load-balancer.js';
import { createBalancer } from '../../src/cluster/lb/policies.js';
import { subsetBalancer } from '../../src/cluster/lb/subset/subset-balancer.js';
import type { ClusterLoadAssignment } from '../../src/model/endpoint.js';
import type { SubsetPolicy } from '../../src/model/lb-policy.js';
import type { MetadataStruct } from '../../src/model/metadata.js';
import { isEqual } from '../../src/runtime/equal.js';
import { createFakeClock } from '../../src/testing/fake-clock.js';
import { ANY, assignment, balancerTools, endpoint, locality } from '../unit/cluster/fixtures.js';
import { subsetPolicy } from './lb-arbitraries.js';

const open = () => ({ service: () => Promise.reject(new Error('no network')), async close() {} });
const value = fc.constantFrom('v1', 'v2', 1, true, null);
const labels = fc.dictionary(fc.constantFrom('constructor', 'stage', 'version'), value, {
  maxKeys: 3,
}) as fc.Arbitrary<MetadataStruct>;
const member = fc.record({
  name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'),
  weight: fc.integer({ min: 1, max: 3 }),
  health: fc.constantFrom('unknown' as const, 'healthy' as const, 'unhealthy' as const, 'degraded' as const),
  labels,
});
const place = fc.record({
  members: fc.array(member, { maxLength: 6 }),
  priority: fc.integer({ min: 0, max: 1 }),
  weight: fc.integer({ min: 0, max: 3 }),
});
const assignments = fc.array(place, { maxLength: 3 }).map((places) =>
  assignment(
    ...places.map(({ members, ...rest }) =>
      locality(
        members.map((one) => endpoint(one.name, { ...one, metadata: { 'envoy.lb': one.labels } })),
        rest,
      ),
    ),
  ),
);
const policies = subsetPolicy(
  fc.constantFrom(
    { kind: 'round-robin' as const },
    { kind: 'round-robin' as const, locality: { kind: 'weighted' as const } },
  ),
  labels,
);

interface State {
  readonly members: Membership;
  readonly addresses: (asked: MetadataStruct | undefined) => ReadonlySet<string | undefined>;
}

/** Everybody whom a balancer picks, after each of the assignments. */
function* states(balancer: Balancer, given: readonly ClusterLoadAssignment[]): Generator<State> {
  let members = NO_MEMBERS;
  for (const next of given) {
    members = reconcileHosts(members.hosts, next, open).membership;
    const picker = balancer.picker(partition(members));
    const addresses = (metadataMatch: MetadataStruct | undefined) =>
      new Set(Array.from({ length: 60 }, () => picker({ ...ANY, metadataMatch }, 0)?.address));
    yield { members, addresses };
  }
}

const has = (host: Host, wanted: MetadataStruct) =>
  Object.entries(wanted).every(([key, one]) => {
    const own = host.endpoint.metadata['envoy.lb'] ?? {};
    return Object.hasOwn(own, key) && isEqual(own[key], one);
  });

const isSelected = ({ selectors }: SubsetPolicy, asked: MetadataStruct) =>
  selectors.some(({ keys }) => isEqual(keys, Object.keys(asked).sort()));

describe('subset load balancing', () => {
  test('picks hosts of the subset only, whatever the updates before', () => {
    fc.assert(
      fc.property(
        policies,
        fc.array(assignments, { minLength: 1, maxLength: 3 }),
        labels,
        (policy, given, asked) => {
          const plain = { ...policy, allowRedundantKeys: false };
          for (const { members, addresses } of states(createBalancer(plain, balancerTools(1)), given)) {
            const subset = [...members.hosts.values()].filter((host) => has(host, asked));
            if (subset.length === 0 || !isSelected(plain, asked)) continue;
            const picked = addresses(asked);
            const allowed = new Set<string | undefined>(subset.map(({ address }) => address));
            for (const one of picked) if (one !== undefined) expect(allowed).toContain(one);
          }
        },
      ),
    );
  });

  test('an updated balancer gives each subset what one made anew does', () => {
    fc.assert(
      fc.property(
        policies,
        fc.array(assignments, { minLength: 2, maxLength: 4 }),
        labels,
        (policy, given, asked) => {
          const updated = recording(policy);
          let members = NO_MEMBERS;
          for (const next of given) {
            members = reconcileHosts(members.hosts, next, open).membership;
            const sets = partition(members);
            const fresh = recording(policy);
            for (const one of [updated, fresh]) one.update(sets);
            for (const match of [asked, undefined]) expect(updated.asked(match)).toEqual(fresh.asked(match));
            const { active = 0, created = 0, removed = 0 } = updated.stats() ?? {};
            expect(active).toBe(created - removed);
          }
        },
      ),
    );
  });
});

/** A subset balancer that tells which hosts were given to the subset that is asked. */
function recording(policy: SubsetPolicy) {
  let asked: unknown;
  const child: Balancer = {
    picker: (sets) => () => {
      asked = sets.map(({ hosts, healthy, degraded, excluded, localities }) => ({
        excluded,
        hosts: hosts.map(({ address }) => address),
        healthy: healthy.map(({ address }) => address),
        degraded: degraded.map(({ address }) => address),
        localities: localities.map(({ weight, hosts: own }) => [weight, own.map(({ address }) => address)]),
      }));
      return hosts(sets);
    },
  };
  const hosts = (sets: readonly HostSet[]) => sets.flatMap((set) => set.hosts)[0];
  const balancer = subsetBalancer(policy, () => ({ ...child }), createFakeClock());
  let picker: Picker = () => undefined;
  return {
    update(sets: readonly HostSet[]) {
      picker = balancer.picker(sets);
    },
    asked(metadataMatch: MetadataStruct | undefined) {
      asked = undefined;
      return [picker({ ...ANY, metadataMatch }, 0)?.address, asked];
    },
    stats: () => balancer.subsets?.(),
  };
}
