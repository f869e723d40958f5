import type { JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { LISTENER, ROUTE_CONFIGURATION } from '../../../src/codec/resource-types.js';
import { customFilters } from '../../../src/filters/custom-filters.js';
import { defineFilter } from '../../../src/filters.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { listenerWith, ROUTER, wire } from './wire.js';

interface KeyConfig {
  readonly header: string;
}

function parseKey(value: unknown): KeyConfig {
  if (typeof value === 'object' && value !== null && 'header' in value && typeof value.header === 'string') {
    return { header: value.header.toLowerCase() };
  }
  throw new TypeError('header: is required');
}

const key = defineFilter({
  name: 'acme.filters.ApiKey',
  parse: parseKey,
  create: () => undefined,
});
const blob = defineFilter({
  name: 'acme.blob',
  typeUrl: 'type.googleapis.com/acme.v1.Blob',
  directions: ['inbound'],
  parse: String,
  decode: (bytes) => Buffer.from(bytes).toString(),
  clusters: () => ['blobs'],
  create: () => undefined,
});
const bare = defineFilter({ name: 'bare', create: () => undefined });
const TABLE = customFilters([key, blob, bare], []);

const struct = (typeUrl: string, value: JsonValue): JsonValue => ({
  '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
  typeUrl,
  value,
});

const filter = (typedConfig: JsonValue, more: Record<string, JsonValue> = {}) =>
  listenerWith([{ name: 'one', typedConfig, ...more }, ROUTER]);

function refusalOf(json: JsonValue): string {
  try {
    LISTENER.decode(wire(LISTENER, json), TABLE);
  } catch (error) {
    if (MeshError.is(error) && error.code === 'INMESH_XDS_DECODE') return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

const KEY = struct('type.googleapis.com/acme.filters.ApiKey', { header: 'X-Key' });

describe('filters of the application', () => {
  test('are read from a TypedStruct of their type', () => {
    const { resource } = LISTENER.decode(wire(LISTENER, filter(KEY)), TABLE);
    expect(resource).toMatchObject({
      http: {
        filters: [
          { name: 'one', config: { kind: 'custom', type: key.name, value: { header: 'x-key' } } },
          { config: { kind: 'router' } },
        ],
      },
    });
    expect(LISTENER.decode(LISTENER.encode(resource), TABLE).resource).toEqual(resource);
  });

  test('are found by the name of the entry when the type is Struct', () => {
    const json = listenerWith([
      {
        name: 'acme.filters.ApiKey',
        typedConfig: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: { header: 'X-K' } },
      },
      { name: 'bare', typedConfig: { '@type': 'type.googleapis.com/google.protobuf.Empty' } },
      ROUTER,
    ]);
    const { resource } = LISTENER.decode(wire(LISTENER, json), TABLE);
    expect(resource).toMatchObject({
      http: { filters: [{ config: { value: { header: 'x-k' } } }, { config: { type: 'bare' } }, {}] },
    });
    expect(LISTENER.decode(LISTENER.encode(resource), TABLE).resource).toEqual(resource);
  });

  test('are read at routes, also when they are optional or wrapped', () => {
    const wrapped = {
      '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig',
      config: KEY,
    };
    const json = {
      name: 'r',
      virtualHosts: [
        {
          name: 'v',
          domains: ['*'],
          typedPerFilterConfig: { a: KEY, b: wrapped } as Record<string, JsonValue>,
        },
      ],
    };
    const { resource } = ROUTE_CONFIGURATION.decode(wire(ROUTE_CONFIGURATION, json), TABLE);
    const overrides = resource.virtualHosts[0]?.filterOverrides;
    for (const name of ['a', 'b']) {
      expect(overrides?.get(name)).toMatchObject({ type: key.name, value: { header: 'x-key' } });
    }
    expect(ROUTE_CONFIGURATION.decode(ROUTE_CONFIGURATION.encode(resource), TABLE).resource).toEqual(
      resource,
    );
  });

  test.each<[string, JsonValue, string]>([
    [
      'what parse throws',
      filter(struct('acme.filters.ApiKey', {})),
      '.http_filters[0].typed_config: the filter acme.filters.ApiKey refuses it: header: is required',
    ],
    [
      'configuration for a filter that takes none',
      filter(struct('x/bare', { some: 1 })),
      'the filter bare refuses it: it takes no configuration',
    ],
    [
      'a filter of the other side',
      filter(struct('x/acme.v1.Blob', {})),
      'the filter acme.blob is not for outbound requests',
    ],
    ['a type that nobody defined', filter(struct('x/acme.Other', {})), '"acme.Other" is not supported'],
    [
      'a Struct under a name that nobody defined',
      filter({ '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} }),
      '"google.protobuf.Struct" is not supported',
    ],
  ])('refused: %s', (_name, json, text) => {
    expect(refusalOf(json)).toContain(text);
  });

  test('an optional one of the other side is left out', () => {
    const json = filter(struct('x/acme.v1.Blob', {}), { isOptional: true });
    expect(LISTENER.decode(wire(LISTENER, json), TABLE).resource).toMatchObject({
      http: { filters: [{ config: { kind: 'router' } }] },
    });
  });

  test('bytes are taken by those that can read them, and name the clusters that are asked', () => {
    const type = TABLE.find('acme.v1.Blob');
    const typeUrl = 'type.googleapis.com/acme.v1.Blob';
    const parsed = type?.parse({ kind: 'bytes', typeUrl, bytes: Buffer.from('hi') }, 'filter');
    expect(parsed).toEqual({ value: 'hi', clusters: ['blobs'] });
    expect(() =>
      TABLE.find(key.name)?.parse({ kind: 'bytes', typeUrl, bytes: Buffer.from('hi') }, 'filter'),
    ).toThrow('taken as JSON');
  });

  test('without a table nothing changes: an unknown filter is refused', () => {
    expect(() => LISTENER.decode(wire(LISTENER, filter(KEY)))).toThrow(
      '"acme.filters.ApiKey" is not supported',
    );
  });
});
