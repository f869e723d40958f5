import { describe, expect, test } from 'vitest';
import { LISTENER, ROUTE_CONFIGURATION } from '../../../src/codec/resource-types.js';
import { VIRTUAL_HOST } from '../../../src/codec/virtual-host.js';
import { decoded, listenerWith, ROUTER, refusal, tableWithRoute } from './wire.js';

const ON_DEMAND = 'type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.OnDemand';

const host = (action: Record<string, unknown>) => ({
  name: 'v',
  domains: ['shop'],
  // JSON values only.
  routes: [{ match: { prefix: '/' }, ...(action as Record<string, string>) }],
});

describe('a table that has more virtual hosts to give', () => {
  test('says so, and takes them from the stream that sent it', () => {
    const table = tableWithRoute({}) as Record<string, string>;
    expect(decoded(ROUTE_CONFIGURATION, { ...table, vhds: { configSource: { ads: {} } } })).toMatchObject({
      virtualHostDiscovery: true,
    });
    expect(refusal(ROUTE_CONFIGURATION, { ...table, vhds: {} })).toContain('vhds.config_source');
    expect(
      refusal(ROUTE_CONFIGURATION, {
        ...table,
        vhds: { configSource: { apiConfigSource: { apiType: 'DELTA_GRPC' } } },
      }),
    ).toContain('vhds.config_source.api_config_source');
  });

  test('is none that stands in a listener', () => {
    const table = tableWithRoute({}) as Record<string, string>;
    const vhds = { configSource: { ads: {} } };
    const listener = listenerWith([ROUTER]) as { apiListener: { apiListener: Record<string, unknown> } };
    const { rds: _, ...manager } = listener.apiListener.apiListener;
    const inline = { ...manager, routeConfig: { ...table, vhds } };
    // JSON values only.
    const apiListener = { apiListener: inline } as unknown as string;
    expect(refusal(LISTENER, { name: 'reviews:80', apiListener })).toContain(
      'route_config.vhds: is not for inline routes',
    );
  });
});

describe('a virtual host that comes by itself', () => {
  test('is one like any other', () => {
    const model = decoded(VIRTUAL_HOST, host({ route: { cluster: 'c' } }));
    expect(model).toMatchObject({ name: 'v', domains: ['shop'], routes: [{ action: { kind: 'forward' } }] });
    expect(VIRTUAL_HOST.decode(VIRTUAL_HOST.encode(model)).resource).toEqual(model);
  });

  test('can name no plug-in of its table, and its bodies have the usual limit', () => {
    expect(refusal(VIRTUAL_HOST, host({ route: { clusterSpecifierPlugin: 'p' } }))).toContain(
      'cluster_specifier_plugin',
    );
    const body = { inlineString: 'x'.repeat(4097) };
    expect(refusal(VIRTUAL_HOST, host({ directResponse: { status: 200, body } }))).toContain(
      'is longer than 4096 bytes',
    );
  });
});

describe('the filter for virtual hosts on demand', () => {
  test('is taken, but for clusters on demand', () => {
    const filter = (config: Record<string, string>) =>
      listenerWith([{ name: 'd', typedConfig: { '@type': ON_DEMAND, ...config } }, ROUTER]);
    expect(decoded(LISTENER, filter({}))).toMatchObject({
      http: { filters: [{ config: { kind: 'on-demand' } }, {}] },
    });
    const odcds = { source: { ads: {} } } as unknown as string;
    expect(refusal(LISTENER, filter({ odcds }))).toContain('odcds');
  });
});
