import { describe, expect, test } from 'vitest';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import type { FilterDiscovery } from '../../../src/model/filter-discovery.js';
import type { FilterExtension } from '../../../src/model/filter-extension.js';
import type { OutboundListener } from '../../../src/model/listener.js';
import { EMPTY_SNAPSHOT } from '../../../src/model/snapshot.js';
import type { Found } from '../../../src/xds/found.js';
import type { ResourceView } from '../../../src/xds/resolution.js';
import { resolve } from '../../../src/xds/resolve.js';
import { createDataPath } from '../mesh/support.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from './fixtures.js';

const TYPE = 'test.Filter';
const FAULT: FilterConfig = {
  kind: 'header-mutation',
  request: [],
  response: [],
  mostSpecificWins: false,
};
const extension = (change: Partial<FilterExtension> = {}): FilterExtension => ({
  name: 'own',
  type: TYPE,
  config: FAULT,
  directions: ['outbound'],
  ...change,
});

function listener(config: FilterConfig, discovery: Partial<FilterDiscovery> = {}): OutboundListener {
  const plain = listenerOf('a:80', 'r');
  const own = { name: 'own', config, discovery: { types: [TYPE], appliesDefault: false, ...discovery } };
  return { ...plain, http: { ...plain.http, filters: [own, ...plain.http.filters] } };
}

const MISSING = { kind: 'missing-config' } as const;
const CORS = { kind: 'cors' } as const;

const [ROUTES, CLUSTER, ASSIGNMENT] = [routesTo('r', 'c'), clusterOf('c'), assignmentOf('c', 1)];

function viewOf(one: OutboundListener, found: Found<FilterExtension>): ResourceView {
  return {
    listener: () => one,
    routes: () => ROUTES,
    cluster: () => CLUSTER,
    assignment: () => ASSIGNMENT,
    secret: () => 'absent',
    runtime: () => 'absent',
    virtualHosts: () => ({ hosts: [], isPending: false }),
    extension: () => found,
  };
}

function resolveWith(one: OutboundListener, found: Found<FilterExtension>, previous = EMPTY_SNAPSHOT) {
  const { wanted, missing, snapshot } = resolve(viewOf(one, found), ['a:80'], previous);
  const config = snapshot.outbound.get('a:80')?.listener.http.filters[0]?.config;
  return { wanted, missing, snapshot, config };
}

describe('a filter whose configuration is discovered', () => {
  test('is asked for by its name and waited for', () => {
    const { wanted, missing, config } = resolveWith(listener(CORS), 'pending');
    expect([...wanted.extensions]).toEqual(['own']);
    expect(missing).toEqual([{ kind: 'extension', name: 'own' }]);
    expect(config).toBeUndefined();
  });

  test('is not waited for where the default is to be applied at once', () => {
    const { missing, config } = resolveWith(listener(CORS, { appliesDefault: true }), 'pending');
    expect(config).toBe(CORS);
    expect(missing).toEqual([{ kind: 'extension', name: 'own' }]);
  });

  test('is what the resource says; the same stays the same object, and a new one replaces it', () => {
    const one = listener(CORS);
    const found = extension();
    const first = resolveWith(one, found);
    expect(first.config).toBe(FAULT);
    expect(resolveWith(one, found, first.snapshot).snapshot).toBe(first.snapshot);
    const next = resolveWith(one, extension({ config: MISSING }), first.snapshot);
    expect(next.config).toBe(MISSING);
  });

  test('keeps the listener as it was while a changed one waits, and stays asked for', () => {
    const first = resolveWith(listener(CORS), extension());
    const { snapshot, wanted } = resolveWith(listener(MISSING), 'pending', first.snapshot);
    expect(snapshot.outbound.get('a:80')).toBe(first.snapshot.outbound.get('a:80'));
    expect([...wanted.extensions]).toEqual(['own']);
  });

  test.each([
    ['does not exist', 'absent'],
    ['is refused', 'refused'],
    ['is of another type', extension({ type: 'test.Other' })],
    ['is for the other side', extension({ directions: ['inbound'] })],
  ] as const)('falls back to the default when it %s', (_, found) => {
    expect(resolveWith(listener(CORS), found).config).toBe(CORS);
    expect(resolveWith(listener(MISSING), found).config).toBe(MISSING);
  });

  test('without any configuration answers with 500 and the flag NFCF', async () => {
    const path = createDataPath(resolveWith(listener(MISSING), 'absent').snapshot);
    const response = await path.send('http://a');
    expect(response.status).toBe(500);
    expect(response.headers.get('x-inmesh-reason')).toBe('INMESH_FILTER_MISSING');
    expect(path.network.attempts).toEqual([]);
  });
});
