import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { rootPath } from '../../src/codec/path.js';
import { decodeRateLimits } from '../../src/codec/rate-limit.js';
import { compileRateLimits } from '../../src/filters/rate-limit-descriptors.js';
import { registry } from '../../src/proto/registry.js';
import { route } from '../../src/proto/xds.js';
import type { DynamicMetadata } from '../../src/service/context.js';
import { createFakeClock } from '../../src/testing/fake-clock.js';
import { makeRequest } from '../unit/filters/support.js';
import { hasVectors, readCases } from './envoy-config.js';

interface Source {
  readonly filter_metadata?: Readonly<Record<string, Record<string, unknown>>>;
}
interface DescriptorCase {
  readonly name: string;
  readonly rate_limit_yaml: string;
  readonly local_service_cluster: string;
  readonly request_headers: readonly (readonly [string, string])[];
  readonly downstream_remote_address: string;
  readonly dynamic_metadata?: Source;
  readonly metadata_route__metadata_?: Source;
  readonly runtime?: Readonly<Record<string, string>>;
  readonly descriptors: readonly (readonly (readonly [string, string])[])[];
}

const FORMATS = 'envoy.reloadable_features.enable_formatter_for_ratelimit_action_descriptor_value';

function requestOf(one: DescriptorCase) {
  const path = one.request_headers.find(([name]) => name === ':path')?.[1] ?? '';
  const header = Object.fromEntries(one.request_headers.filter(([name]) => !name.startsWith(':')));
  const request = makeRequest({ path, header });
  const address = one.downstream_remote_address;
  request.context.connection = {
    id: 1,
    directRemote: undefined,
    remote: { address, port: 0 },
    local: undefined,
    tls: undefined,
  };
  request.context.dynamicMetadata = new Map(
    Object.entries(one.dynamic_metadata?.filter_metadata ?? {}),
  ) as DynamicMetadata;
  request.context.routeMetadata = one.metadata_route__metadata_?.filter_metadata;
  return request;
}

/** CEL is no format command here. */
const usesCel = ({ rate_limit_yaml: yaml, runtime }: DescriptorCase) =>
  yaml.includes('%CEL(') && runtime?.[FORMATS] === 'true';

const cases = readCases<DescriptorCase>('vectors/rate_limit_descriptors.json');
const inScope = cases.filter((one) => !usesCel(one));

describe.runIf(hasVectors)('rate limit descriptors, as Envoy tests them', () => {
  test.each(inScope)('$name', (one) => {
    const json = parse(one.rate_limit_yaml) as JsonValue;
    const message = fromJson(route.RateLimitSchema, json, { registry: registry() });
    const source = compileRateLimits(decodeRateLimits([message], rootPath('RDS r')) ?? [], {
      clock: createFakeClock(),
      node: { id: '', cluster: one.local_service_cluster },
      clusterName: 'fake_cluster',
      formatsValues: one.runtime?.[FORMATS] === 'true',
    });
    const descriptors = source?.(requestOf(one)) ?? [];
    expect(descriptors.map(({ entries }) => entries.map(({ key, value }) => [key, value]))).toEqual(one.descriptors);
  });

  test('all but those with CEL are in scope', () => expect(cases.length - inScope.length).toBe(3));
});
