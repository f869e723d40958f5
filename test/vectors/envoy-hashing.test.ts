import { beforeAll, describe, expect, test } from 'vitest';
import { hashKeyOf } from '../../src/cluster/lb/hash-key.js';
import { finish, type HashTable } from '../../src/cluster/lb/hash-table.js';
import { maglevKind } from '../../src/cluster/lb/maglev.js';
import { normalizedWeights } from '../../src/cluster/lb/normalized-weights.js';
import { ringKind } from '../../src/cluster/lb/ring.js';
import { createBalancer } from '../../src/cluster/lb/policies.js';
import { partition, reconcileHosts } from '../../src/cluster/host-set.js';
import type { Host } from '../../src/cluster/host.js';
import type { Endpoint } from '../../src/model/endpoint.js';
import type { LbPolicy } from '../../src/model/lb-policy.js';
import { loadHashes, xxHash64 } from '../../src/runtime/hash.js';
import { ANY, assignment, balancerTools, endpoint, locality, MAGLEV, request, RING } from '../unit/cluster/fixtures.js';
import { hasVectors, vectorJson, vectorSuite } from './score.js';

interface VectorHost {
  readonly address: string;
  readonly weight?: number;
  readonly hostname?: string;
  readonly hash_key?: string;
  readonly locality?: string;
}
interface Stats {
  readonly size?: number;
  readonly min_hashes_per_host?: number;
  readonly max_hashes_per_host?: number;
  readonly min_entries_per_host?: number;
  readonly max_entries_per_host?: number;
}
interface HashCase {
  readonly name: string;
  readonly hosts: readonly VectorHost[];
  readonly config?: {
    readonly minimum_ring_size?: number;
    readonly maximum_ring_size?: number;
    readonly use_hostname_for_hashing?: boolean;
    readonly hash_balance_factor?: number;
    readonly locality_weighted?: boolean;
    readonly hash_function?: string;
  };
  readonly locality_weights?: Readonly<Record<string, number>>;
  readonly ring?: readonly { readonly hash: string; readonly host_index: number }[];
  readonly stats?: Stats;
  readonly picks?: readonly { readonly hash: string; readonly host_index: number; readonly attempt?: number }[];
  readonly histogram?: { readonly samples: number; readonly counts: readonly number[] };
  readonly table_size?: number;
  readonly table?: readonly number[];
  readonly use_hostname_for_hashing?: boolean;
  readonly locality_weighted?: boolean;
}

beforeAll(loadHashes);

const MAX_64 = 2n ** 64n - 1n;

function endpointOf({ address, weight = 1, hostname = '', hash_key: key }: VectorHost): Endpoint {
  const at = address.lastIndexOf(':');
  return endpoint(address.slice(0, at), {
    address: { address: address.slice(0, at), port: Number(address.slice(at + 1)) },
    weight,
    hostname,
    metadata: key === undefined ? {} : { 'envoy.lb': { hash_key: key } },
  });
}

function setOf({ hosts, locality_weights: weights }: HashCase) {
  const names = [...new Set(hosts.map((one) => one.locality ?? ''))].sort();
  const places = names.map((name) =>
    locality(
      hosts.filter((one) => (one.locality ?? '') === name).map(endpointOf),
      { weight: weights?.[name], locality: { region: '', zone: name, subZone: '' } },
    ),
  );
  const { membership } = reconcileHosts(new Map(), assignment(...places), () => ({
    service: () => Promise.reject(new Error('no network')),
    async close() {},
  }));
  return { sets: partition(membership), indexOf: (host: Host | undefined) => hosts.findIndex(({ address }) => address === host?.address) };
}

function policyOf(one: HashCase): LbPolicy {
  const { config = {} } = one;
  const balancing = {
    useHostname: config.use_hostname_for_hashing ?? one.use_hostname_for_hashing ?? false,
    balanceFactorPercent: config.hash_balance_factor ?? 0,
    localityWeighted: config.locality_weighted ?? one.locality_weighted ?? false,
  };
  return one.table_size === undefined
    ? {
        ...RING,
        ...balancing,
        minimumRingSize: config.minimum_ring_size ?? 1024,
        maximumRingSize: config.maximum_ring_size ?? 8_388_608,
        hashFunction: config.hash_function === 'MURMUR_HASH_2' ? 'murmur-hash-2' : 'xx-hash',
      }
    : { ...MAGLEV, ...balancing, tableSize: one.table_size };
}

function tableOf(one: HashCase): { readonly table: HashTable; readonly hosts: readonly Host[] } {
  const policy = policyOf(one);
  if (policy.kind !== 'ring-hash' && policy.kind !== 'maglev') throw new Error(policy.kind);
  const [set] = setOf(one).sets;
  const weights = normalizedWeights(set!, false, policy.localityWeighted);
  const keys = weights.hosts.map((host) => hashKeyOf(host, policy.useHostname));
  const kind =
    policy.kind === 'maglev'
      ? maglevKind({ tableSize: policy.tableSize, hash: xxHash64 })
      : ringKind({
          minimumSize: policy.minimumRingSize,
          maximumSize: policy.maximumRingSize,
          hash: (text) => xxHash64(text),
        });
  return { table: finish(kind.build({ ...weights, keys })), hosts: weights.hosts };
}

function picker(one: HashCase) {
  const { sets, indexOf } = setOf(one);
  const pick = createBalancer(policyOf(one), balancerTools(1)).picker(sets);
  return (hash: bigint, attempt = 0) =>
    indexOf(pick({ ...ANY, request: request(), hash: () => hash }, attempt));
}

function check(one: HashCase): void {
  const { table } = tableOf(one);
  const pick = picker(one);
  const { stats, ring, picks, histogram, table: places } = one;
  if (stats?.size !== undefined) expect(table.size).toBe(stats.size);
  const min = stats?.min_hashes_per_host ?? stats?.min_entries_per_host;
  const max = stats?.max_hashes_per_host ?? stats?.max_entries_per_host;
  if (min !== undefined) expect(table.minPerHost).toBe(min);
  if (max !== undefined) expect(table.maxPerHost).toBe(max);
  for (const entry of ring ?? []) expect(pick(BigInt(entry.hash))).toBe(entry.host_index);
  for (const [at, { hash }] of (ring ?? []).entries()) {
    // Just behind a place the next one begins.
    expect(pick((BigInt(hash) + 1n) & MAX_64)).toBe(ring![(at + 1) % ring!.length]!.host_index);
  }
  for (const { hash, host_index: host, attempt } of picks ?? []) expect(pick(BigInt(hash), attempt)).toBe(host);
  for (const [place, host] of (places ?? []).entries()) expect(pick(BigInt(place))).toBe(host);
  if (histogram !== undefined) {
    const counts = histogram.counts.map(() => 0);
    const step = MAX_64 / BigInt(histogram.samples);
    for (let i = 0; i < histogram.samples; i++) counts[pick(BigInt(i) * step)]!++;
    expect(counts).toEqual(histogram.counts);
  }
}

const RING_FILE = 'envoy/vectors/ring_hash.json';
const MAGLEV_FILE = 'envoy/vectors/maglev.json';

function casesOf(file: string): readonly HashCase[] {
  return (vectorJson(file) as { readonly cases: readonly HashCase[] } | undefined)?.cases ?? [];
}

const rings = casesOf(RING_FILE);
const tables = casesOf(MAGLEV_FILE);

vectorSuite({ file: RING_FILE, cases: rings, title: ({ name }) => name, run: check });
vectorSuite({ file: MAGLEV_FILE, cases: tables, title: ({ name }) => name, run: check });

describe.runIf(hasVectors)('hashing, as Envoy tests it', () => {
  test('without localities of any weight nobody stands on the ring', () => {
    const [one] = rings.filter(({ config }) => config?.locality_weighted === true);
    expect(picker({ ...one!, locality_weights: {} })(5n)).toBe(-1);
    expect(picker({ ...one!, hosts: [] })(5n)).toBe(-1);
  });

  test('one host fills a table of one place', () => {
    const one: HashCase = { name: '', hosts: [{ address: '127.0.0.1:90', weight: 7 }], table_size: 17 };
    for (let hash = 0n; hash < 40n; hash++) expect(picker(one)(hash)).toBe(0);
    expect(tableOf(one).table).toMatchObject({ minPerHost: 1, maxPerHost: 1 });
  });

  test('the order in which hosts are listed does not matter to Maglev', () => {
    const [one] = tables;
    const turned = { ...one!, hosts: one!.hosts.toReversed() };
    const last = one!.hosts.length - 1;
    for (let hash = 0n; hash < 50n; hash++) expect(last - picker(turned)(hash)).toBe(picker(one!)(hash));
  });
});
