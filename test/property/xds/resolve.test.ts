import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FilterExtension } from '../../../src/model/filter-extension.js';
import type { OutboundListener } from '../../../src/model/listener.js';
import type { Secret } from '../../../src/model/secret.js';
import type { Snapshot } from '../../../src/model/snapshot.js';
import type { UpstreamTls } from '../../../src/model/tls.js';
import type { Found } from '../../../src/xds/found.js';
import type { Resolution, ResourceView } from '../../../src/xds/resolution.js';
import { resolve } from '../../../src/xds/resolve.js';
import { clustersOf } from '../../../src/xds/targets.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from '../../unit/xds/fixtures.js';

const NAMES = ['a', 'b', 'c', 'd', 'e'] as const;
const name = fc.constantFrom(...NAMES);
const found = <T extends object>(value: fc.Arbitrary<T>): fc.Arbitrary<Found<T>> =>
  fc.oneof(
    { weight: 5, arbitrary: value },
    { weight: 1, arbitrary: fc.constantFrom('pending' as const, 'absent' as const, 'refused' as const) },
  );
const table = <T>(value: (key: (typeof NAMES)[number]) => fc.Arbitrary<T>) =>
  fc
    .tuple(...NAMES.map((key) => value(key).map((one) => [key, one] as const)))
    .map((entries) => new Map<string, T>(entries));

const tlsWith = (validation: string): UpstreamTls => ({
  mode: 'simple',
  sni: undefined,
  subjectAltNames: [],
  alpn: [],
  secrets: { validation },
});
const secretOf = (pem: string): Secret => ({
  kind: 'validation',
  roots: { kind: 'inline', pem },
  crl: undefined,
  subjectAltNames: [],
});

const HEADERS = 'envoy.extensions.filters.http.header_mutation.v3.HeaderMutation';
const withFilter = (listener: OutboundListener, name: string | null): OutboundListener => {
  if (name === null) return listener;
  const discovery = { types: [HEADERS], appliesDefault: false };
  const filter = { name, config: { kind: 'missing-config' }, discovery } as const;
  return { ...listener, http: { ...listener.http, filters: [filter, ...listener.http.filters] } };
};
const extensions = new Map<string, FilterExtension>();
/** The same object for the same, as a store has it. */
function extensionOf(name: string, header: string): FilterExtension {
  const key = `${name} ${header}`;
  const known = extensions.get(key) ?? {
    name,
    type: HEADERS,
    directions: ['outbound'],
    config: {
      kind: 'header-mutation',
      request: [{ kind: 'remove', name: header }],
      response: [],
      mostSpecificWins: false,
    },
  };
  extensions.set(key, known);
  return known;
}

/** Everything that a server could have, each resource present, pending, absent or refused. */
const view: fc.Arbitrary<ResourceView> = fc
  .record({
    listeners: table((key) =>
      found(
        fc
          .tuple(name, fc.option(name))
          .map(([routes, filter]) => withFilter(listenerOf(key, routes), filter)),
      ),
    ),
    extensions: table((key) =>
      found(fc.constantFrom('set-1', 'set-2').map((header) => extensionOf(key, header))),
    ),
    routes: table((key) =>
      found(fc.uniqueArray(name, { minLength: 1, maxLength: 3 }).map((targets) => routesTo(key, ...targets))),
    ),
    clusters: table((key) =>
      found(
        fc.tuple(name, fc.option(name)).map(([service, secret]) => ({
          ...clusterOf(key, service),
          ...(secret !== null && { tls: tlsWith(secret) }),
        })),
      ),
    ),
    secrets: table(() => found(fc.constantFrom<Secret[]>(secretOf('1'), secretOf('2')))),
    assignments: table((key) => found(fc.integer({ min: 1, max: 3 }).map((port) => assignmentOf(key, port)))),
  })
  .map(({ listeners, routes, clusters, assignments, secrets, extensions }) => ({
    listener: (key) => listeners.get(key) ?? 'pending',
    routes: (key) => routes.get(key) ?? 'pending',
    cluster: (key) => clusters.get(key) ?? 'pending',
    assignment: (key) => assignments.get(key) ?? 'pending',
    secret: (key) => secrets.get(key) ?? 'pending',
    runtime: () => 'absent',
    virtualHosts: () => ({ hosts: [], isPending: false }),
    extension: (key) => extensions.get(key) ?? 'pending',
  }));

const sorted = <T>(map: ReadonlyMap<string, T>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
const normal = ({ wanted, missing, snapshot }: Resolution) => ({
  wanted: Object.values(wanted).map((names) => [...names].sort()),
  missing: missing.map(({ kind, name: key }) => `${kind} ${key}`).sort(),
  outbound: sorted(snapshot.outbound),
  clusters: sorted(snapshot.clusters),
  secrets: sorted(snapshot.secrets ?? new Map()),
});

/** Every cluster that a listener in force refers to is served, unless it was known not to exist. */
function expectWhole(snapshot: Snapshot, absent: ReadonlySet<string>): void {
  const targets = [...snapshot.outbound.values()].flatMap(({ routes }) =>
    routes === undefined ? [] : clustersOf(routes),
  );
  expect(targets.filter((target) => !snapshot.clusters.has(target) && !absent.has(target))).toEqual([]);
}

describe('resolve', () => {
  test('does not depend on the order of its roots', () => {
    fc.assert(
      fc.property(view, view, fc.shuffledSubarray([...NAMES], { minLength: 5 }), (before, now, order) => {
        const previous = resolve(before, NAMES).snapshot;
        expect(normal(resolve(now, order, previous))).toEqual(normal(resolve(now, NAMES, previous)));
      }),
      { numRuns: 500 },
    );
  });

  test('a second time brings the same object', () => {
    fc.assert(
      fc.property(view, view, (before, now) => {
        const { snapshot } = resolve(now, NAMES, resolve(before, NAMES).snapshot);
        expect(resolve(now, NAMES, snapshot).snapshot).toBe(snapshot);
      }),
      { numRuns: 500 },
    );
  });

  test('what it serves is whole, through any sequence of views', () => {
    fc.assert(
      fc.property(fc.array(view, { minLength: 1, maxLength: 5 }), (views) => {
        let previous: Snapshot | undefined;
        const absent = new Set<string>();
        for (const now of views) {
          for (const key of NAMES)
            if (['absent', 'refused'].includes(String(now.cluster(key)))) absent.add(key);
          previous = resolve(now, NAMES, previous).snapshot;
          expectWhole(previous, absent);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('when nothing is pending the past does not matter', () => {
    const settled = view.map((one): ResourceView => {
      const settle = <T extends object>(value: Found<T>): Found<T> =>
        value === 'pending' || value === 'refused' ? 'absent' : value;
      return {
        listener: (key) => settle(one.listener(key)),
        routes: (key) => settle(one.routes(key)),
        cluster: (key) => settle(one.cluster(key)),
        assignment: (key) => settle(one.assignment(key)),
        secret: (key) => settle(one.secret(key)),
        runtime: () => 'absent',
        virtualHosts: () => ({ hosts: [], isPending: false }),
        extension: (key) => settle(one.extension(key)),
      };
    });
    fc.assert(
      fc.property(view, settled, (before, now) => {
        expect(normal(resolve(now, NAMES, resolve(before, NAMES).snapshot))).toEqual(
          normal(resolve(now, NAMES)),
        );
      }),
      { numRuns: 500 },
    );
  });
});
