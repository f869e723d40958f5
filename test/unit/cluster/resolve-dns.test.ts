import { describe, expect, test } from 'vitest';
import { watchDns } from '../../../src/cluster/resolve-dns.js';
import { createNameResolver, type ResolveName } from '../../../src/cluster/resolve-name.js';
import type { DnsDiscovery } from '../../../src/model/cluster.js';
import type { ClusterLoadAssignment } from '../../../src/model/endpoint.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { assignment, endpoint, endpoints, locality } from './fixtures.js';

function watch(
  kind: 'strict-dns' | 'logical-dns',
  given: ClusterLoadAssignment,
  resolve: ResolveName,
  more: Partial<DnsDiscovery> = {},
) {
  const clock = createFakeClock();
  const updates: string[][] = [];
  const discovery = { kind, assignment: given, refreshRateMs: 5000, ...more };
  const dns = watchDns(
    discovery,
    { clock, random: seededRandom(1), logger: silentLogger, resolve },
    (found) =>
      updates.push(found.localities.flatMap((one) => one.endpoints.map(({ address }) => address.address))),
  );
  return { clock, updates, dns };
}

describe('DNS clusters', () => {
  test('make an endpoint of every address of a strict name', async () => {
    const { dns, updates } = watch('strict-dns', endpoints('db'), async () => ['10.0.0.2', '10.0.0.1']);
    await dns.ready;
    dns.close();
    expect(updates).toEqual([['10.0.0.1', '10.0.0.2']]);
  });

  test('make one endpoint of all addresses of a logical name, which keeps its first as long as it may', async () => {
    const answers = [
      ['10.0.0.2', '10.0.0.3', '10.0.0.1'],
      ['10.0.0.1', '10.0.0.3', '10.0.0.2'],
      ['10.0.0.3', '10.0.0.1'],
    ];
    const clock = createFakeClock();
    const found: string[][] = [];
    const dns = watchDns(
      { kind: 'logical-dns', assignment: endpoints('db'), refreshRateMs: 1000 },
      {
        clock,
        random: seededRandom(1),
        logger: silentLogger,
        resolve: async () => answers.shift() ?? [],
      },
      ({ localities: [one] }) =>
        found.push(
          (one?.endpoints ?? []).flatMap(({ address, additionalAddresses = [] }) =>
            [address, ...additionalAddresses].map((each) => each.address),
          ),
        ),
    );
    await dns.ready;
    await clock.advance(2000);
    dns.close();
    expect(found).toEqual([
      ['10.0.0.2', '10.0.0.1', '10.0.0.3'],
      ['10.0.0.2', '10.0.0.1', '10.0.0.3'],
      ['10.0.0.3', '10.0.0.1'],
    ]);
  });

  test('ask again later by a jitter', async () => {
    let asked = 0;
    const { clock, dns } = watch(
      'strict-dns',
      endpoints('db'),
      async () => {
        asked++;
        return ['10.0.0.1'];
      },
      { jitterMs: 1000 },
    );
    await dns.ready;
    await clock.advance(5000);
    expect(asked).toBe(1);
    await clock.advance(1000);
    expect(asked).toBe(2);
    dns.close();
  });

  test('make one endpoint of a logical name', async () => {
    const { dns, updates } = watch('logical-dns', endpoints('db'), async () => ['10.0.0.1', '10.0.0.2']);
    await dns.ready;
    dns.close();
    expect(updates).toEqual([['10.0.0.1']]);
  });

  test('ask again at the refresh rate and keep the last good answer on failure', async () => {
    const answers = [['10.0.0.1'], undefined, [], ['10.0.0.9']];
    const { clock, dns, updates } = watch('strict-dns', endpoints('db'), async () => {
      const answer = answers.shift();
      if (answer === undefined) throw new Error('SERVFAIL');
      return answer;
    });
    await dns.ready;
    await clock.advance(15_000);
    dns.close();
    expect(updates).toEqual([['10.0.0.1'], ['10.0.0.1'], ['10.0.0.1'], ['10.0.0.9']]);
    expect(clock.pending).toBe(0);
  });

  test('have no endpoints while a name never resolved, and do not fail the others', async () => {
    const given = assignment(locality([endpoint('bad'), endpoint('good'), endpoint('127.0.0.1')]));
    const { dns, updates } = watch('strict-dns', given, async (name) => {
      if (name === 'bad') throw new Error('ENOTFOUND');
      return ['10.0.0.5'];
    });
    await dns.ready;
    dns.close();
    expect(updates).toEqual([['10.0.0.5', '127.0.0.1']]);
  });

  test('do not ask for addresses', async () => {
    const { clock, dns, updates } = watch('strict-dns', endpoints('::1'), () => {
      throw new Error('asked');
    });
    await dns.ready;
    expect(updates).toEqual([['::1']]);
    expect(clock.pending).toBe(0);
    dns.close();
  });

  test('say nothing after they were closed', async () => {
    const { dns, updates, clock } = watch('strict-dns', endpoints('db'), async () => ['10.0.0.1']);
    dns.close();
    await dns.ready;
    expect(updates).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test('each name has its own pace, by the life of its records when that is respected', async () => {
    const asked: string[] = [];
    const given = assignment(locality([endpoint('short'), endpoint('long'), endpoint('forever')]));
    const lives: Readonly<Record<string, number>> = { short: 1000, long: 3000, forever: 0 };
    const resolve: ResolveName = async (name) => {
      asked.push(name);
      return [
        { address: '10.0.0.1', ttlMs: lives[name] ?? 0 },
        { address: '10.0.0.2', ttlMs: 60_000 },
      ];
    };
    const { clock, dns } = watch('strict-dns', given, resolve, { respectsTtl: true });
    await dns.ready;
    asked.length = 0;
    await clock.advance(5000);
    dns.close();
    expect(asked.filter((name) => name === 'short')).toHaveLength(5);
    expect(asked.filter((name) => name === 'long')).toHaveLength(1);
    expect(asked.filter((name) => name === 'forever')).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  test('after failures the waits grow on their own scale, and start anew with a success', async () => {
    const times: number[] = [];
    let fails = true;
    const { clock, dns } = watch(
      'strict-dns',
      endpoints('db'),
      async () => {
        times.push(clock.now());
        if (fails) throw new Error('SERVFAIL');
        return ['10.0.0.1'];
      },
      { failureRefresh: { baseMs: 100, maxMs: 1000 } },
    );
    await dns.ready;
    await clock.advance(3000);
    const waits = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    expect(waits.length).toBeGreaterThan(3);
    waits.forEach((wait, i) => {
      expect(wait).toBeLessThanOrEqual(Math.min(1000, 100 * 2 ** i));
    });
    fails = false;
    await clock.advance(1000);
    times.length = 0;
    await clock.advance(5000);
    expect(times).toHaveLength(1);
    dns.close();
  });

  test('the family is asked for as the cluster says', async () => {
    const families: unknown[] = [];
    const resolve: ResolveName = async (_name, family) => {
      families.push(family);
      return ['::1'];
    };
    for (const lookupFamily of [undefined, 'v6-only', 'all'] as const) {
      const { dns } = watch('strict-dns', endpoints('db'), resolve, { lookupFamily });
      await dns.ready;
      dns.close();
    }
    expect(families).toEqual([undefined, 'v6-only', 'all']);
    expect(await createNameResolver()('localhost', 'v4-only')).toEqual(['127.0.0.1']);
  });

  test('find localhost without a name server', async () => {
    const addresses = await createNameResolver()('localhost');
    expect(['127.0.0.1', '::1']).toContain(addresses[0]);
  });
});
