import { describe, expect, test } from 'vitest';
import type { Cluster } from '../../../../src/model/cluster.js';
import type { ClusterLoadAssignment } from '../../../../src/model/endpoint.js';
import type { HostRequestSource, OverrideHostPolicy } from '../../../../src/model/lb-policy.js';
import { HeaderMap } from '../../../../src/service/headers.js';
import type { Request } from '../../../../src/service/service.js';
import { ANY, assignment, endpoint, endpoints, locality, request, world } from '../fixtures.js';

const HEADER: HostRequestSource = { kind: 'header', name: 'x-to' };
const METADATA: HostRequestSource = {
  kind: 'metadata',
  path: { namespace: 'envoy.lb', keys: ['to', 'host'] },
};

function wishing(more: Partial<OverrideHostPolicy> = {}): OverrideHostPolicy {
  return {
    kind: 'override-host',
    sources: [HEADER],
    selectedHostKey: undefined,
    child: { kind: 'round-robin' },
    ...more,
  };
}

const asking = (...lines: string[]): Request => {
  const headers = HeaderMap.empty();
  for (const line of lines) headers.append('x-to', line);
  return request({ headers });
};

/** The hosts of as many attempts of one request. */
function attempts(
  policy: OverrideHostPolicy,
  given: ClusterLoadAssignment,
  asked: Request,
  count: number,
  config: Partial<Cluster> = {},
) {
  const cluster = world().cluster({ lbPolicy: policy, ...config }, given);
  return Array.from({ length: count }, () => cluster.pick({ ...ANY, request: asked })?.address);
}

describe('hosts that the request names', () => {
  test('are taken one after the other, an attempt each; then the fallback policy chooses', () => {
    const picked = attempts(wishing(), endpoints('a', 'b', 'c'), asking(' c:80 , b:80,, c:80'), 4);
    expect(picked.slice(0, 3)).toEqual(['c:80', 'b:80', 'c:80']);
    expect(picked[3]).toMatch(/^[abc]:80$/);
  });

  test('are passed over when they are not there', () => {
    expect(attempts(wishing(), endpoints('a', 'b'), asking('x:80,b:81,b:80'), 1)).toEqual(['b:80']);
    expect(attempts(wishing(), endpoints('a'), asking('x:80'), 1)).toEqual(['a:80']);
  });

  test('are taken whatever their health and priority', () => {
    const given = assignment(
      locality([endpoint('a')]),
      locality([endpoint('down', { health: 'unhealthy' })], { priority: 1 }),
    );
    expect(attempts(wishing(), given, asking('down:80'), 1)).toEqual(['down:80']);
  });

  test('are read of all sources in order, of a header the first line only', () => {
    const asked = asking('b:80', 'a:80');
    asked.context.dynamicMetadata = new Map([['envoy.lb', { to: { host: 'c:80' } }]]);
    const picked = (sources: HostRequestSource[], one: Request) =>
      attempts(wishing({ sources }), endpoints('a', 'b', 'c'), one, 2);
    expect(picked([HEADER, METADATA], asked)).toEqual(['b:80', 'c:80']);
    const other = request();
    other.context.dynamicMetadata = new Map([['envoy.lb', { to: { host: 'c:80,a:80' } }]]);
    expect(picked([HEADER, METADATA], other)).toEqual(['c:80', 'a:80']);
  });

  test('may be of any kind that is no text, and are none then', () => {
    const asked = request();
    asked.context.dynamicMetadata = new Map([['envoy.lb', { to: { host: ['b:80'] } }]]);
    const given = endpoints('a');
    expect(attempts(wishing({ sources: [METADATA] }), given, asked, 1)).toEqual(['a:80']);
    expect(asked.context.filterState).toBeUndefined();
  });

  test('IPv6 addresses stand in brackets', () => {
    const given = endpoints('2001:db8::1', '10.0.0.1');
    expect(attempts(wishing(), given, asking('[2001:db8::1]:80'), 1)).toEqual(['[2001:db8::1]:80']);
  });

  test('are not what retries avoid: the caller knows better', () => {
    const cluster = world().cluster({ lbPolicy: wishing() }, endpoints('a', 'b'));
    const a = cluster.hosts.get('a:80');
    if (a === undefined) throw new Error('no host');
    const context = { ...ANY, avoid: [a] };
    expect(cluster.pick({ ...context, request: asking('a:80') })).toBe(a);
    // The fallback policy does avoid them.
    for (let i = 0; i < 5; i++) {
      expect(cluster.pick({ ...context, request: asking('x:80') })?.address).toBe('b:80');
    }
  });

  test('the host that was chosen is told under selected_host_key', () => {
    const policy = wishing({ selectedHostKey: { namespace: 'told', keys: ['host', 'served'] } });
    const asked = asking('b:80');
    asked.context.dynamicMetadata = new Map([['told', { other: 1 }]]);
    attempts(policy, endpoints('a', 'b'), asked, 1);
    expect(asked.context.dynamicMetadata.get('told')).toEqual({ other: 1, host: { served: 'b:80' } });
    const plain = request();
    attempts(policy, endpoints('a'), plain, 1);
    expect(plain.context.dynamicMetadata?.get('told')).toEqual({ host: { served: 'a:80' } });
  });

  test('within a subset are those of the subset', () => {
    const labelled = (address: string, version: string) =>
      endpoint(address, { metadata: { 'envoy.lb': { version } } });
    const cluster = world().cluster(
      {
        lbPolicy: {
          kind: 'subset',
          fallback: 'none',
          defaultSubset: {},
          selectors: [
            { keys: ['version'], fallback: undefined, fallbackKeys: [], singleHostPerSubset: false },
          ],
          localityWeightAware: false,
          scaleLocalityWeight: false,
          panicModeAny: false,
          listAsAny: false,
          fallbackList: false,
          allowRedundantKeys: false,
          child: wishing(),
        },
      },
      assignment(locality([labelled('a', 'v1'), labelled('b', 'v1'), labelled('c', 'v2')])),
    );
    const metadataMatch = { version: 'v1' };
    expect(cluster.pick({ ...ANY, metadataMatch, request: asking('c:80,b:80') })?.address).toBe('b:80');
  });
});

describe('override_host_status', () => {
  const given = assignment(
    locality([
      endpoint('a'),
      endpoint('up', { health: 'healthy' }),
      endpoint('down', { health: 'unhealthy' }),
      endpoint('going', { health: 'draining' }),
      endpoint('late', { health: 'timeout' }),
      endpoint('slow', { health: 'degraded' }),
    ]),
  );
  const served = (overrideHostStatuses: Cluster['overrideHostStatuses'], eject = '') => {
    const cluster = world().cluster({ overrideHostStatuses }, given);
    const ejected = cluster.hosts.get(eject);
    if (ejected !== undefined) ejected.ejected = true;
    return ['a', 'up', 'down', 'going', 'late', 'slow'].filter((name) => {
      const asked = request();
      asked.context.overrideHost = { address: `${name}:80`, strict: true };
      return cluster.pick({ ...ANY, request: asked }) !== undefined;
    });
  };

  test('is unknown, healthy and degraded by default', () => {
    expect(served(undefined)).toEqual(['a', 'up', 'slow']);
  });

  test('says which hosts serve those that ask for them', () => {
    expect(served(['healthy', 'draining'])).toEqual(['up', 'going']);
    expect(served([])).toEqual([]);
    expect(served(['unhealthy', 'timeout'])).toEqual(['down', 'late']);
  });

  test('counts an ejected host as unhealthy, whatever the control plane says', () => {
    expect(served(undefined, 'up:80')).toEqual(['a', 'slow']);
    expect(served(['unhealthy'], 'going:80')).toEqual(['down', 'going']);
  });
});
