import type { JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { FILTER_EXTENSION } from '../../../src/codec/filter-extension.js';
import { LISTENER } from '../../../src/codec/resource-types.js';
import { decoded, listenerWith, ROUTER, refusal } from './wire.js';

const CORS_TYPE = 'envoy.extensions.filters.http.cors.v3.Cors';
const CORS: JsonValue = { '@type': `type.googleapis.com/${CORS_TYPE}` };
const ROUTER_TYPE = 'envoy.extensions.filters.http.router.v3.Router';

const discovered = (fields: Record<string, JsonValue>): JsonValue =>
  listenerWith([
    {
      name: 'own',
      configDiscovery: {
        configSource: { ads: {} },
        typeUrls: [`type.googleapis.com/${CORS_TYPE}`],
        ...fields,
      },
    },
    ROUTER,
  ]);

describe('a filter whose configuration is discovered', () => {
  test('is its default, or nothing, until the resource is there', () => {
    expect(decoded(LISTENER, discovered({}))).toMatchObject({
      http: {
        filters: [
          {
            name: 'own',
            config: { kind: 'missing-config' },
            discovery: { types: [CORS_TYPE], appliesDefault: false },
          },
          { config: { kind: 'router' } },
        ],
      },
    });
    const eager = discovered({ defaultConfig: CORS, applyDefaultConfigWithoutWarming: true });
    expect(decoded(LISTENER, eager)).toMatchObject({
      http: { filters: [{ config: { kind: 'cors' }, discovery: { appliesDefault: true } }, {}] },
    });
  });

  test.each<[string, Record<string, JsonValue>, RegExp]>([
    ['no types', { typeUrls: [] }, /config_discovery\.type_urls: is required/],
    ['another source', { configSource: { path: '/x' } }, /config_discovery\.config_source/],
    [
      'a default of another type',
      { typeUrls: ['type.googleapis.com/x.Y'], defaultConfig: CORS },
      /default_config/,
    ],
    [
      'the router as default',
      { defaultConfig: { '@type': `type.googleapis.com/${ROUTER_TYPE}` } },
      /default_config/,
    ],
    [
      'no default to apply',
      { applyDefaultConfigWithoutWarming: true },
      /default_config: is required to be applied/,
    ],
  ])('is refused with %s', (_, fields, message) => {
    expect(refusal(LISTENER, discovered(fields))).toMatch(message);
  });
});

describe('a resource of ECDS', () => {
  test('is the configuration of a filter, with its type and the sides that it is for', () => {
    expect(decoded(FILTER_EXTENSION, { name: 'own', typedConfig: CORS })).toEqual({
      name: 'own',
      type: CORS_TYPE,
      config: { kind: 'cors' },
      directions: ['outbound', 'inbound'],
    });
  });

  test.each<[string, JsonValue, RegExp]>([
    ['nothing', { name: 'own' }, /typed_config: is required \(ECDS own\)/],
    [
      'the router',
      { name: 'own', typedConfig: { '@type': `type.googleapis.com/${ROUTER_TYPE}` } },
      /must not be the router/,
    ],
    [
      'what is no filter here',
      {
        name: 'own',
        typedConfig: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck',
        },
      },
      /is not supported/,
    ],
  ])('is refused when it is %s', (_, json, message) => {
    expect(refusal(FILTER_EXTENSION, json)).toMatch(message);
  });
});
