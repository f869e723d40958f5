import { describe, expect, test } from 'vitest';
import { createNameResolver, type ResolveName, watchDns } from '../../../src/cluster/resolve-dns.js';
import type { ClusterLoadAssignment } from '../../../src/model/endpoint.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { assignment, endpoint, endpoints, locality } from './fixtures.js';

function watch(kind: 'strict-dns' | 'logical-dns', given: ClusterLoadAssignment, resolve: ResolveName) {
  const clock = createFakeClock();
  const updates: string[][] = [];
  const discovery = { kind, assignment: given, refreshRateMs: 5000 };
  const dns = watchDns(discovery, { clock, logger: silentLogger, resolve }, (found) =>
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

  test('find localhost without a name server', async () => {
    const addresses = await createNameResolver()('localhost');
    expect(['127.0.0.1', '::1']).toContain(addresses[0]);
  });
});
