import { describe, expect, test } from 'vitest';
import type { Host } from '../../../../src/cluster/host.js';
import { type Membership, partition, reconcileHosts } from '../../../../src/cluster/host-set.js';
import type { PickContext } from '../../../../src/cluster/lb/load-balancer.js';
import { createBalancer } from '../../../../src/cluster/lb/policies.js';
import type { ClusterLoadAssignment, Endpoint } from '../../../../src/model/endpoint.js';
import type { LbPolicy, SubsetPolicy, SubsetSelector } from '../../../../src/model/lb-policy.js';
import type { MetadataStruct } from '../../../../src/model/metadata.js';
import { loadHashes } from '../../../../src/runtime/hash.js';
import {
  ANY,
  assignment,
  balancerTools,
  endpoint,
  endpoints,
  locality,
  RING,
  request,
  world,
} from '../fixtures.js';

const SELECTOR: SubsetSelector = {
  keys: ['version'],
  fallback: undefined,
  fallbackKeys: [],
  singleHostPerSubset: false,
};

function subsets(more: Partial<SubsetPolicy> = {}): SubsetPolicy {
  return {
    kind: 'subset',
    fallback: 'none',
    defaultSubset: {},
    selectors: [SELECTOR],
    localityWeightAware: false,
    scaleLocalityWeight: false,
    panicModeAny: false,
    listAsAny: false,
    fallbackList: false,
    allowRedundantKeys: false,
    child: { kind: 'round-robin' },
    ...more,
  };
}

const labelled = (address: string, labels: MetadataStruct, more: Partial<Endpoint> = {}) =>
  endpoint(address, { metadata: { 'envoy.lb': labels }, ...more });

const open = () => ({ service: () => Promise.reject(new Error('no network')), async close() {} });

/** A balancer whose hosts may be changed; picks say the address. */
function balanced(policy: LbPolicy, first: ClusterLoadAssignment, more = {}) {
  const balancer = createBalancer(policy, balancerTools(7, more));
  let members: Membership = reconcileHosts(new Map(), first, open).membership;
  let picker = balancer.picker(partition(members));
  return {
    balancer,
    get hosts(): ReadonlyMap<string, Host> {
      return members.hosts;
    },
    update(next: ClusterLoadAssignment) {
      members = reconcileHosts(members.hosts, next, open).membership;
      picker = balancer.picker(partition(members));
    },
    refresh() {
      picker = balancer.picker(partition(members));
    },
    pick(metadataMatch?: MetadataStruct, context: Partial<PickContext> = {}) {
      return picker({ ...ANY, metadataMatch, ...context }, 0)?.endpoint.address.address;
    },
    /** Everybody who is picked. */
    all(metadataMatch?: MetadataStruct, times = 40) {
      return [...new Set(Array.from({ length: times }, () => this.pick(metadataMatch)))].sort();
    },
  };
}

const THREE = assignment(
  locality([
    labelled('a', { version: 'v1', stage: 'prod' }),
    labelled('b', { version: 'v2', stage: 'prod' }),
    labelled('c', { version: 'v2', stage: 'dev' }),
    endpoint('d'),
  ]),
);

describe('subset load balancing', () => {
  test('serves a request from the hosts that have what it asks for', () => {
    const { all } = balanced(subsets(), THREE);
    const one = balanced(subsets(), THREE);
    expect(one.all({ version: 'v1' })).toEqual(['a']);
    expect(one.all({ version: 'v2' })).toEqual(['b', 'c']);
    expect(all).toBeDefined();
  });

  test('the keys asked for must be those of a selector, all of them and no others', () => {
    const one = balanced(subsets({ selectors: [{ ...SELECTOR, keys: ['stage', 'version'] }] }), THREE);
    expect(one.pick({ version: 'v2', stage: 'dev' })).toBe('c');
    expect(one.pick({ version: 'v2' })).toBeUndefined();
    expect(one.pick({ version: 'v2', stage: 'dev', other: 1 })).toBeUndefined();
  });

  test('values are equal by type and content', () => {
    const given = assignment(
      locality([
        labelled('text', { version: '1' }),
        labelled('number', { version: 1 }),
        labelled('yes', { version: true }),
        labelled('nothing', { version: null }),
        labelled('struct', { version: { a: 1, b: [2] } }),
      ]),
    );
    const one = balanced(subsets(), given);
    expect(one.all({ version: '1' })).toEqual(['text']);
    expect(one.all({ version: 1 })).toEqual(['number']);
    expect(one.all({ version: true })).toEqual(['yes']);
    expect(one.all({ version: null })).toEqual(['nothing']);
    expect(one.all({ version: { b: [2], a: 1 } })).toEqual(['struct']);
    expect(one.pick({ version: 'true' })).toBeUndefined();
  });

  test('list_as_any: a list of a host stands for each of its elements', () => {
    const given = assignment(
      locality([labelled('both', { version: ['v1', 'v2'] }), labelled('one', { version: 'v1' })]),
    );
    const any = balanced(subsets({ listAsAny: true }), given);
    expect(any.all({ version: 'v1' })).toEqual(['both', 'one']);
    expect(any.all({ version: 'v2' })).toEqual(['both']);
    expect(any.pick({ version: ['v1', 'v2'] })).toBeUndefined();
    const whole = balanced(subsets(), given);
    expect(whole.all({ version: ['v1', 'v2'] })).toEqual(['both']);
    expect(whole.all({ version: 'v1' })).toEqual(['one']);
  });

  test('list_as_any: lists of several keys combine', () => {
    const given = assignment(locality([labelled('x', { stage: ['dev', 'prod'], version: ['v1', 'v2'] })]));
    const policy = subsets({ listAsAny: true, selectors: [{ ...SELECTOR, keys: ['stage', 'version'] }] });
    const one = balanced(policy, given);
    expect(one.pick({ stage: 'prod', version: 'v1' })).toBe('x');
    expect(one.pick({ stage: 'dev', version: 'v2' })).toBe('x');
    expect(one.balancer.subsets?.()?.active).toBe(4);
  });
});

describe('what has no subset', () => {
  test.each([
    ['none', [undefined]],
    ['any-endpoint', ['a', 'b', 'c', 'd']],
    ['default-subset', ['b', 'c']],
  ] as const)('falls back to %s', (fallback, expected) => {
    const one = balanced(subsets({ fallback, defaultSubset: { version: 'v2' } }), THREE);
    expect(one.all({ version: 'v9' })).toEqual(expected);
    expect(one.all()).toEqual(expected);
  });

  test('an empty default subset is all hosts', () => {
    const one = balanced(subsets({ fallback: 'default-subset' }), THREE);
    expect(one.all()).toEqual(['a', 'b', 'c', 'd']);
  });

  test("a selector's own fallback goes before the policy's", () => {
    const policy = subsets({
      fallback: 'any-endpoint',
      defaultSubset: { stage: 'dev' },
      selectors: [
        { ...SELECTOR, fallback: 'none' },
        { ...SELECTOR, keys: ['stage'], fallback: 'default-subset' },
        { ...SELECTOR, keys: ['zone'], fallback: 'any-endpoint' },
      ],
    });
    const one = balanced(policy, THREE);
    expect(one.all({ version: 'v9' })).toEqual([undefined]);
    expect(one.all({ stage: 'none' })).toEqual(['c']);
    expect(one.all({ zone: 'z' })).toEqual(['a', 'b', 'c', 'd']);
    // Envoy: these are not counted as fallbacks.
    expect(one.balancer.subsets?.()).toMatchObject({ selected: 0, fallback: 0, fallbackPanic: 0 });
  });

  test('keys-subset: the request is placed again by fewer keys', () => {
    const policy = subsets({
      selectors: [
        { ...SELECTOR, keys: ['stage', 'version'], fallback: 'keys-subset', fallbackKeys: ['version'] },
        { ...SELECTOR, fallback: 'any-endpoint' },
      ],
    });
    const one = balanced(policy, THREE);
    expect(one.all({ stage: 'none', version: 'v2' })).toEqual(['b', 'c']);
    expect(one.all({ stage: 'none', version: 'v9' })).toEqual(['a', 'b', 'c', 'd']);
  });

  test('panic_mode_any: any host serves when the fallback has nobody, but not without a fallback', () => {
    const policy = subsets({
      fallback: 'default-subset',
      defaultSubset: { version: 'v9' },
      panicModeAny: true,
    });
    const one = balanced(policy, THREE);
    expect(one.all({ version: 'v8' })).toEqual(['a', 'b', 'c', 'd']);
    expect(one.balancer.subsets?.()).toMatchObject({ fallback: 0, fallbackPanic: 40 });
    expect(balanced({ ...policy, fallback: 'none' }, THREE).pick({ version: 'v8' })).toBeUndefined();
  });

  test('a subset whose hosts are all down decides nevertheless', () => {
    const given = assignment(
      locality([labelled('a', { version: 'v1' }, { health: 'unhealthy' }), endpoint('b')]),
    );
    const one = balanced(subsets({ fallback: 'any-endpoint' }), given, { panicThresholdPercent: 0 });
    expect(one.all({ version: 'v1' })).toEqual([undefined]);
    expect(one.all()).toEqual(['b']);
  });

  test('fallback_list: alternatives are tried in order, each over what the request asks for', () => {
    const policy = subsets({ fallbackList: true, selectors: [{ ...SELECTOR, keys: ['stage', 'version'] }] });
    const one = balanced(policy, THREE);
    const asked = (...alternatives: MetadataStruct[]) => ({ stage: 'prod', fallback_list: alternatives });
    expect(one.all(asked({ version: 'v9' }, { version: 'v1' }, { version: 'v2' }))).toEqual(['a']);
    expect(one.all(asked({ version: 'v9' }, { version: 'v2', stage: 'dev' }))).toEqual(['c']);
    expect(one.all(asked({ version: 'v8' }, { version: 'v9' }))).toEqual([undefined]);
    expect(one.all({ stage: 'dev', version: 'v2', fallback_list: [] })).toEqual(['c']);
    expect(one.all({ stage: 'dev', version: 'v2', fallback_list: 'no list' })).toEqual(['c']);
  });

  test('without fallback_list the key is one like others', () => {
    const one = balanced(subsets(), THREE);
    expect(one.pick({ version: 'v1', fallback_list: [{ version: 'v1' }] })).toBeUndefined();
  });

  test('allow_redundant_keys: the longest selector whose keys are all there counts', () => {
    const selectors = [SELECTOR, { ...SELECTOR, keys: ['stage', 'version'] }];
    const one = balanced(subsets({ allowRedundantKeys: true, selectors }), THREE);
    expect(one.all({ version: 'v2', zone: 'z' })).toEqual(['b', 'c']);
    expect(one.all({ version: 'v2', stage: 'dev', zone: 'z' })).toEqual(['c']);
    expect(one.pick({ zone: 'z' })).toBeUndefined();
  });
});

describe('a single host per subset', () => {
  const selectors = [{ ...SELECTOR, singleHostPerSubset: true }];

  test('is the first of the first priority, whatever its health', () => {
    const given = assignment(
      locality([labelled('backup', { version: 'v1' })], { priority: 1 }),
      locality([
        labelled('first', { version: 'v1' }, { health: 'unhealthy' }),
        labelled('second', { version: 'v1' }),
      ]),
    );
    const one = balanced(subsets({ selectors }), given);
    expect(one.all({ version: 'v1' })).toEqual(['first']);
    expect(one.balancer.subsets?.()?.singleHostDuplicates).toBe(1);
    one.update(assignment(locality([labelled('second', { version: 'v1' })])));
    expect(one.all({ version: 'v1' })).toEqual(['second']);
    expect(one.balancer.subsets?.()?.singleHostDuplicates).toBe(0);
  });
});

describe('each subset is balanced for itself', () => {
  test('it panics when too few of its own hosts are healthy', () => {
    const given = assignment(
      locality([
        labelled('a', { version: 'v1' }, { health: 'unhealthy' }),
        labelled('b', { version: 'v1' }, { health: 'unhealthy' }),
        labelled('c', { version: 'v1' }),
        ...['d', 'e', 'f', 'g'].map((address) => labelled(address, { version: 'v2' })),
        labelled('h', { version: 'v2' }, { health: 'unhealthy' }),
      ]),
    );
    const one = balanced(subsets(), given);
    expect(one.all({ version: 'v1' })).toEqual(['a', 'b', 'c']);
    expect(one.all({ version: 'v2' })).toEqual(['d', 'e', 'f', 'g']);
  });

  test('it fails over to its own hosts of the next priority', () => {
    const given = assignment(
      locality([labelled('a', { version: 'v1' }, { health: 'unhealthy' }), labelled('b', { version: 'v2' })]),
      locality([labelled('c', { version: 'v1' }), labelled('d', { version: 'v2' })], { priority: 1 }),
    );
    const one = balanced(subsets(), given);
    expect(one.all({ version: 'v1' })).toEqual(['c']);
    expect(one.all({ version: 'v2' })).toEqual(['b']);
  });

  const zones = (heavyHosts: readonly Endpoint[]) =>
    assignment(
      locality(heavyHosts, { weight: 8, locality: { region: 'r', zone: 'a', subZone: '' } }),
      locality([labelled('light', { version: 'v1' })], {
        weight: 2,
        locality: { region: 'r', zone: 'b', subZone: '' },
      }),
    );
  const share = (policy: SubsetPolicy, given: ClusterLoadAssignment) => {
    const one = balanced(
      { ...policy, child: { kind: 'round-robin', locality: { kind: 'weighted' } } },
      given,
    );
    const picks = Array.from({ length: 1000 }, () => one.pick({ version: 'v1' }));
    return picks.filter((address) => address !== 'light').length;
  };

  test('localities have weights only with locality_weight_aware', () => {
    const given = zones([labelled('heavy', { version: 'v1' })]);
    expect(share(subsets(), given)).toBe(500);
    expect(share(subsets({ localityWeightAware: true }), given)).toBe(800);
  });

  test('scale_locality_weight: they shrink with the part of their hosts that is in the subset', () => {
    const others = ['x', 'y', 'z'].map((address) => labelled(address, { version: 'v2' }));
    const given = zones([labelled('heavy', { version: 'v1' }), ...others]);
    expect(share(subsets({ localityWeightAware: true }), given)).toBe(800);
    // 8 x 1/4 = 2.
    expect(share(subsets({ localityWeightAware: true, scaleLocalityWeight: true }), given)).toBe(500);
  });

  test('a hash decides within the subset', async () => {
    await loadHashes();
    const one = balanced(subsets({ child: { ...RING, localityWeighted: true } }), THREE);
    const head = request();
    const picks = Array.from({ length: 60 }, (_, i) =>
      one.pick({ version: 'v2' }, { request: head, hash: () => BigInt(i) * 0x0fff_ffff_ffff_fffn }),
    );
    expect(new Set(picks)).toEqual(new Set(['b', 'c']));
  });
});

describe('updates', () => {
  test('subsets come and go with their hosts', () => {
    const one = balanced(subsets(), THREE);
    expect(one.balancer.subsets?.()).toMatchObject({ active: 2, created: 2, removed: 0 });
    expect(one.pick({ version: 'v3' })).toBeUndefined();
    one.update(assignment(locality([labelled('a', { version: 'v3' }), labelled('b', { version: 'v2' })])));
    expect(one.balancer.subsets?.()).toMatchObject({ active: 2, created: 3, removed: 1 });
    expect(one.all({ version: 'v3' })).toEqual(['a']);
    expect(one.all({ version: 'v2' })).toEqual(['b']);
    expect(one.pick({ version: 'v1' })).toBeUndefined();
  });

  test('a host that changes its health moves within its own subsets', () => {
    const one = balanced(subsets(), THREE);
    expect(one.all({ version: 'v2' })).toEqual(['b', 'c']);
    const b = one.hosts.get('b:80');
    if (b !== undefined) b.ejected = true;
    one.refresh();
    expect(one.all({ version: 'v2' })).toEqual(['c']);
    if (b !== undefined) b.ejected = false;
    one.refresh();
    expect(one.all({ version: 'v2' })).toEqual(['b', 'c']);
  });

  test('one host that changes has only its own subsets prepared anew', () => {
    const many = Array.from({ length: 30 }, (_, i) => labelled(`h${i}`, { version: `v${i % 10}` }));
    let random = 0;
    const one = balanced(
      subsets({ child: { kind: 'least-request', choiceCount: 2, activeRequestBias: 1 } }),
      assignment(locality(many)),
      {
        // Each schedule of a fresh subset draws once.
        random: () => {
          random++;
          return 0.5;
        },
      },
    );
    for (let i = 0; i < 10; i++) one.pick({ version: `v${i}` });
    const seen = many.map((endpointOf) => endpointOf.address.address);
    one.update(assignment(locality(many.map((each, i) => (i === 3 ? { ...each, weight: 5 } : each)))));
    random = 0;
    // The subsets of hosts that did not change answer from what they had: two draws for each pick, as before.
    for (let i = 0; i < 10; i++) if (i !== 3) one.pick({ version: `v${i}` });
    expect(random).toBe(18);
    expect(
      one.all({ version: 'v3' }).every((address) => address !== undefined && seen.includes(address)),
    ).toBe(true);
  });

  test('a host that is known by another name stands elsewhere in the hash table of its subset', async () => {
    await loadHashes();
    const named = (keys: readonly string[]) =>
      assignment(
        locality(
          keys.map((hash_key, i) => labelled(`h${i}`, { version: 'v1', hash_key }, { hostname: hash_key })),
        ),
      );
    for (const useHostname of [false, true]) {
      const policy = subsets({ child: { ...RING, useHostname } });
      const picks = (one: ReturnType<typeof balanced>) =>
        Array.from({ length: 50 }, (_, i) =>
          one.pick({ version: 'v1' }, { request: request(), hash: () => BigInt(i) << 58n }),
        );
      const one = balanced(policy, named(['a', 'b', 'c']));
      const before = picks(one);
      one.update(named(['a', 'x', 'c']));
      expect(picks(one)).toEqual(picks(balanced(policy, named(['a', 'x', 'c']))));
      expect(picks(one)).not.toEqual(before);
    }
  });

  test('the place in the round survives updates of other subsets', () => {
    const one = balanced(subsets(), THREE);
    const first = one.pick({ version: 'v2' });
    one.update(
      assignment(
        locality([
          labelled('a', { version: 'v1', stage: 'prod' }, { weight: 3 }),
          labelled('b', { version: 'v2', stage: 'prod' }),
          labelled('c', { version: 'v2', stage: 'dev' }),
          endpoint('d'),
        ]),
      ),
    );
    expect(one.pick({ version: 'v2' })).not.toBe(first);
  });
});

describe('retries', () => {
  test('choose another host of the same subset, and none of others', () => {
    const given = assignment(
      locality([
        labelled('a', { version: 'v1' }),
        labelled('b', { version: 'v1' }),
        ...['x', 'y', 'z'].map((address) => labelled(address, { version: 'v2' })),
      ]),
    );
    const cluster = world().cluster({ lbPolicy: subsets() }, given);
    const [a, b] = [cluster.hosts.get('a:80'), cluster.hosts.get('b:80')];
    if (a === undefined || b === undefined) throw new Error('no hosts');
    const asked = { ...ANY, metadataMatch: { version: 'v1' } };
    for (let i = 0; i < 20; i++) expect(cluster.pick({ ...asked, avoid: [a] })).toBe(b);
    for (let i = 0; i < 20; i++) {
      expect(['a:80', 'b:80']).toContain(cluster.pick({ ...asked, avoid: [a, b] })?.address);
    }
  });

  test('the state of subsets is among the statistics of the cluster', () => {
    const cluster = world().cluster({ lbPolicy: subsets({ fallback: 'any-endpoint' }) }, THREE);
    cluster.pick({ ...ANY, metadataMatch: { version: 'v1' } });
    cluster.pick(ANY);
    expect(cluster.stats().subsets).toMatchObject({ active: 2, created: 2, selected: 1, fallback: 1 });
    expect(world().cluster({}, endpoints('a')).stats().subsets).toBeUndefined();
  });
});
