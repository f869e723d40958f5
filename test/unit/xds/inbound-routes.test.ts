import { describe, expect, test } from 'vitest';
import type { InboundListener } from '../../../src/model/listener.js';
import type { RouteConfiguration } from '../../../src/model/route.js';
import { EMPTY_SNAPSHOT } from '../../../src/model/snapshot.js';
import type { Found } from '../../../src/xds/found.js';
import { resolve } from '../../../src/xds/resolve.js';
import { routesTo } from './fixtures.js';

const http = (name: string) => ({ routes: { kind: 'rds', name } as const, filters: [] });

const LISTENER: InboundListener = {
  kind: 'inbound',
  name: 'in',
  address: undefined,
  filterChains: [{ name: 'tls', transportProtocol: 'tls', tls: undefined, http: http('r') }],
  defaultChain: { name: 'others', transportProtocol: '', tls: undefined, http: http('s') },
};
const TABLE: RouteConfiguration = { ...routesTo('r', 'c'), virtualHosts: [] };

function resolveWith(tables: Record<string, Found<RouteConfiguration>>, previous = EMPTY_SNAPSHOT) {
  const view = {
    listener: () => LISTENER,
    routes: (name: string) => tables[name] ?? 'pending',
    runtime: () => 'absent' as const,
    virtualHosts: () => ({ hosts: [], isPending: false }),
    cluster: () => 'absent' as const,
    assignment: () => 'absent' as const,
    secret: () => 'absent' as const,
    extension: () => 'absent' as const,
  };
  const { wanted, missing, snapshot } = resolve(view, ['in'], previous);
  const inbound = snapshot.inbound.get('in');
  const chains = inbound && [
    ...inbound.filterChains,
    ...(inbound.defaultChain ? [inbound.defaultChain] : []),
  ];
  return {
    wanted: [...wanted.routes],
    missing: missing.map(({ name }) => name),
    snapshot,
    inbound,
    routes: chains?.map((one) => one.http?.routes),
  };
}

describe('route tables of filter chains', () => {
  test('are asked for, those of the default chain, too, and waited for', () => {
    const { wanted, missing, inbound } = resolveWith({ r: TABLE });
    expect(wanted).toEqual(['r', 's']);
    expect(missing).toEqual(['s']);
    expect(inbound).toBeUndefined();
  });

  test('stand in the chains once they are there', () => {
    const other = { ...TABLE, name: 's' };
    const { routes, missing } = resolveWith({ r: TABLE, s: other });
    expect(missing).toEqual([]);
    expect(routes).toEqual([
      { kind: 'inline', config: TABLE },
      { kind: 'inline', config: other },
    ]);
  });

  test('that do not exist hold nothing up: their chains let nothing in', () => {
    const { routes } = resolveWith({ r: TABLE, s: 'absent' });
    expect(routes).toEqual([
      { kind: 'inline', config: TABLE },
      { kind: 'rds', name: 's' },
    ]);
  });

  test('that did not change leave the listener as it was', () => {
    const first = resolveWith({ r: TABLE, s: 'absent' });
    const again = resolveWith({ r: TABLE, s: 'absent' }, first.snapshot);
    expect(again.snapshot).toBe(first.snapshot);
    const changed = resolveWith({ r: { ...TABLE }, s: 'absent' }, first.snapshot);
    expect(changed.inbound).not.toBe(first.inbound);
  });

  test('that wait again leave in force what was', () => {
    const first = resolveWith({ r: TABLE, s: TABLE });
    expect(resolveWith({ r: TABLE }, first.snapshot).inbound).toBe(first.inbound);
  });
});
