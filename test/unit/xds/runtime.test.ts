import { describe, expect, test } from 'vitest';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../../src/codec/resource-types.js';
import { RUNTIME } from '../../../src/codec/runtime.js';
import { runtimePage } from '../../../src/mesh/admin/runtime-page.js';
import { resolveRuntime } from '../../../src/mesh/runtime-option.js';
import type { FaultConfig } from '../../../src/model/filter-config.js';
import type { RouteConfiguration } from '../../../src/model/route.js';
import { fractionOf, integerOf, type RuntimeValue } from '../../../src/model/runtime.js';
import { xdsServer } from '../../../src/xds/server.js';
import { withRuntime } from '../../../src/xds/with-runtime.js';
import { decoded, listenerWith, ROUTER, refusal } from '../codec/wire.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from './fixtures.js';
import { startFleet } from './fleet.js';

const values = (object: Record<string, RuntimeValue>) => new Map(Object.entries(object));

/** A table whose route takes the share of the key. */
function tableWithKey(runtimeKey: string): RouteConfiguration {
  const table = routesTo('r', 'c');
  const runtimeFraction = { numerator: 10, denominator: 100 as const, runtimeKey };
  return {
    ...table,
    virtualHosts: table.virtualHosts.map((host) => ({
      ...host,
      routes: host.routes.map((route) => ({ ...route, match: { ...route.match, runtimeFraction } })),
    })),
  };
}

const shareOf = (table: RouteConfiguration | undefined) =>
  table?.virtualHosts[0]?.routes[0]?.match.runtimeFraction;

describe('a layer of the runtime', () => {
  test('has the values that Envoy reads, by keys with dots', () => {
    const layer = {
      'a.b': 1,
      c: { d: true, e: { f: 'x' } },
      share: { numerator: 5, denominator: 'TEN_THOUSAND' },
      half: { numerator: 50 },
    };
    const model = decoded(RUNTIME, { name: 'l', layer });
    expect(model).toEqual({
      name: 'l',
      values: values({
        'a.b': 1,
        'c.d': true,
        'c.e.f': 'x',
        share: { numerator: 5, denominator: 10_000 },
        half: { numerator: 50, denominator: 100 },
      }),
    });
    expect(RUNTIME.decode(RUNTIME.encode(model)).resource).toEqual(model);
  });

  test.each([
    ['a list', { a: [1] }],
    ['nothing', { a: null }],
    ['a share that is none', { a: { numerator: -1 } }],
    ['a share of something else', { a: { numerator: 1, denominator: 'DOZEN' } }],
  ])('with %s is refused with its key', (_, layer) => {
    expect(refusal(RUNTIME, { name: 'l', layer })).toContain('layer["a"]: is no value of a runtime');
  });

  test('gives shares and numbers as Envoy does', () => {
    const runtime = values({ whole: 30, over: 101, text: '7', half: 0.5, flag: true, minus: -1 });
    expect(fractionOf(runtime, 'whole')).toEqual({ numerator: 30, denominator: 100 });
    expect(fractionOf(runtime, 'over')).toEqual({ numerator: 100, denominator: 100 });
    expect(fractionOf(runtime, 'text')).toEqual({ numerator: 7, denominator: 100 });
    for (const key of ['half', 'flag', 'minus', 'unknown']) {
      expect(fractionOf(runtime, key), key).toBeUndefined();
      expect(integerOf(runtime, key), key).toBeUndefined();
    }
  });
});

describe('values in a configuration', () => {
  test('take the place of its own where their keys stand, and nothing else changes', () => {
    const table = tableWithKey('routing.new');
    expect(withRuntime(table, new Map())).toBe(table);
    expect(withRuntime(table, values({ other: 1 }))).toBe(table);
    const filled = withRuntime(table, values({ 'routing.new': 70 }));
    expect(shareOf(filled)).toEqual({ numerator: 70, denominator: 100 });
    expect(withRuntime(table, values({ 'routing.new': 70, other: 2 }))).toBe(filled);
    expect(withRuntime(table, new Map())).toBe(table);
  });

  test('follow Envoy’s names in faults, and those that a fault has of its own', () => {
    const fault: FaultConfig = {
      kind: 'fault',
      delay: { fixedMs: 5, percentage: { numerator: 0, denominator: 100 } },
      abort: { status: { kind: 'http', code: 503 }, percentage: { numerator: 0, denominator: 100 } },
      upstreamCluster: '',
      headers: [],
      maxActiveFaults: undefined,
    };
    const runtime = values({
      'fault.http.abort.abort_percent': { numerator: 1, denominator: 10_000 },
      'fault.http.abort.http_status': 429,
      'fault.http.delay.fixed_duration_ms': 77,
      'fault.http.max_active_faults': 3,
      mine: 42,
    });
    expect(withRuntime({ ...fault, runtimeKeys: { delayPercent: 'mine' } }, runtime)).toMatchObject({
      delay: { fixedMs: 77, percentage: { numerator: 42, denominator: 100 } },
      abort: { status: { kind: 'http', code: 429 }, percentage: { numerator: 1, denominator: 10_000 } },
      maxActiveFaults: 3,
    });
    // No status of HTTP: the configured one holds.
    expect(withRuntime(fault, values({ 'fault.http.abort.http_status': 42 })).abort?.status).toEqual({
      kind: 'http',
      code: 503,
    });
  });
});

describe.each(['sotw', 'delta'] as const)('layers that the control plane serves (%s)', (protocol) => {
  test('are waited for, go before one another, and are followed', async () => {
    const layers = resolveRuntime({ values: { share: 1, own: 2 }, layers: ['base', 'above'] }, {}, undefined);
    const fleet = startFleet(
      ['ads:1'],
      { servers: [xdsServer({ target: 'ads:1', protocol })], runtime: layers },
      (servers) => {
        const { state } = servers['ads:1'];
        state.put(LISTENER, 'shop:80', listenerOf('shop:80', 'r'));
        state.put(ROUTE_CONFIGURATION, 'r', tableWithKey('share'));
        state.put(CLUSTER, 'c', clusterOf('c'));
        state.put(CLUSTER_LOAD_ASSIGNMENT, 'c', assignmentOf('c', 80));
        state.put(RUNTIME, 'base', { name: 'base', values: values({ share: 20 }) });
        state.put(RUNTIME, 'above', { name: 'above', values: values({}) });
        state.muted.add(RUNTIME.typeUrl);
        state.publish();
      },
    );
    const { client, clock, servers } = fleet;
    const { state } = servers['ads:1'];
    const share = () => shareOf(client.published.value.snapshot.outbound.get('shop:80')?.routes)?.numerator;
    await clock.advance(100);
    expect(client.published.value.source).toBe('none');

    state.muted.clear();
    state.publish();
    await clock.advance(100);
    expect(share()).toBe(20);
    expect(client.published.value.snapshot.runtime?.get('own')).toBe(2);

    state.put(RUNTIME, 'above', { name: 'above', values: values({ share: 90 }) });
    state.publish();
    await clock.advance(100);
    expect(share()).toBe(90);
    const { runtime = new Map() } = client.published.value.snapshot;
    expect(runtimePage(layers, client.status(), runtime)).toEqual({
      layers: ['static_layer', 'base', 'above'],
      entries: {
        share: { layer_values: ['1', '20', '90'], final_value: '90' },
        own: { layer_values: ['2', '', ''], final_value: '2' },
      },
    });
    // State of the world can't tell that a layer is gone.
    if (protocol === 'delta') {
      state.remove(RUNTIME, 'above');
      state.remove(RUNTIME, 'base');
      state.publish();
      await clock.advance(100);
      expect(share()).toBe(1);
    }
    await client.close();
  });
});

describe('the layers of a mesh', () => {
  test('come from code, else from the environment, else from the bootstrap', () => {
    const bootstrap = [{ kind: 'rtds' as const, name: 'boot' }];
    expect(resolveRuntime(undefined, {}, bootstrap)).toBe(bootstrap);
    expect(resolveRuntime(undefined, { INMESH_RUNTIME_LAYERS: 'a, b' }, bootstrap)).toEqual([
      { kind: 'rtds', name: 'a' },
      { kind: 'rtds', name: 'b' },
    ]);
    expect(resolveRuntime({}, { INMESH_RUNTIME_LAYERS: 'a' }, bootstrap)).toEqual([]);
    expect(() => resolveRuntime({ values: { a: [1] } }, {}, undefined)).toThrow('runtime.values: a');
  });
});

describe('flags and numbers with keys', () => {
  const TYPE = 'type.googleapis.com/envoy.extensions.filters.http';
  const listener = decoded(
    LISTENER,
    listenerWith([
      {
        name: 'admission',
        typedConfig: {
          '@type': `${TYPE}.admission_control.v3.AdmissionControl`,
          enabled: { defaultValue: false, runtimeKey: 'admission.on' },
          successCriteria: { httpCriteria: { httpSuccessStatus: [{ start: 100, end: 400 }] } },
          aggression: { defaultValue: 2, runtimeKey: 'admission.aggression' },
          srThreshold: { defaultValue: { value: 90 }, runtimeKey: 'admission.rate' },
          rpsThreshold: { defaultValue: 5, runtimeKey: 'admission.rps' },
        },
      },
      {
        name: 'compressor',
        typedConfig: {
          '@type': `${TYPE}.compressor.v3.Compressor`,
          compressorLibrary: {
            name: 'gzip',
            typedConfig: {
              '@type': 'type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip',
            },
          },
          responseDirectionConfig: {
            commonConfig: { enabled: { defaultValue: true, runtimeKey: 'compress' } },
          },
        },
      },
      ROUTER,
    ]),
  );
  const filtersWith = (given: Record<string, RuntimeValue>) => {
    const filled = withRuntime(listener, values(given));
    return filled.kind === 'outbound' ? filled.http.filters.map(({ config }) => config) : [];
  };

  test('follow the runtime, within the bounds of their fields', () => {
    const defaults = { enabled: false, aggression: 2, successThresholdPercent: 90, rpsThreshold: 5 };
    expect(filtersWith({})[0]).toMatchObject(defaults);
    const set = {
      'admission.on': true,
      'admission.aggression': 0.5,
      'admission.rate': 120,
      'admission.rps': '7',
      compress: 'False',
    };
    const [admission, compressor] = filtersWith(set);
    expect(admission).toMatchObject({
      enabled: true,
      aggression: 1,
      successThresholdPercent: 100,
      rpsThreshold: 7,
    });
    expect(compressor).toMatchObject({ response: { enabled: false } });
  });

  test('keep their defaults where the value is of another kind, and are the same as long as it is', () => {
    const set = { 'admission.on': 1, 'admission.aggression': 'much', compress: 0 };
    expect(withRuntime(listener, values(set))).toBe(listener);
    const on = values({ compress: false });
    expect(withRuntime(listener, on)).toBe(withRuntime(listener, values({ compress: false, other: 1 })));
  });

  test('survive the codec', () => {
    expect(LISTENER.decode(LISTENER.encode(listener)).resource).toEqual(listener);
  });
});
