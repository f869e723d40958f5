import { fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { expect } from 'vitest';
import { parse } from 'yaml';
import { encodeFilter } from '../../src/codec/filter-config.js';
import { encodeNetworkGuard } from '../../src/codec/network-guard.js';
import type { ExtensionProviderInput } from '../../src/control-plane/mesh/extension-provider.js';
import { httpAuthorization, tcpAuthorization } from '../../src/control-plane/compile/authorization/filters.js';
import { effectivePolicies } from '../../src/control-plane/compile/authorization/select-policies.js';
import { createMeshConfig, DEFAULT_MESH_CONFIG } from '../../src/control-plane/mesh/mesh-config.js';
import { registry } from '../../src/proto/registry.js';
import { httpConnectionManager as hcm, listener, wkt } from '../../src/proto/xds.js';
import { viewOf } from '../unit/control-plane/compile/mesh.js';
import { vectorJson, vectorSuite, vectorText } from './score.js';

/** AuthorizationPolicies of a workload as the filters that Istio sends for them. */

interface AuthzCase {
  readonly name: string;
  readonly kind: 'HTTP' | 'TCP';
  readonly input: string;
  readonly want: readonly string[];
  readonly proxy: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
  /** What asks providers, or all other filters. */
  readonly custom: boolean;
  readonly trustDomain?: string;
  readonly trustDomainAliases?: readonly string[];
  readonly meshConfig?: { readonly extensionProviders?: readonly ExtensionProviderInput[] };
  readonly services?: readonly string[];
}

const FOLDER = 'istio/authz-rbac/';
const cases = (vectorJson(`${FOLDER}cases.json`) ?? []) as readonly AuthzCase[];
const options = { registry: registry() };

/** `host (namespace ns)`. */
function namespacesOf(services: readonly string[] = []) {
  return (host: string) =>
    services.flatMap((text) => {
      const [, name, namespace = ''] = /^(\S+) \(namespace (\S+)\)$/.exec(text) ?? [];
      return name === host ? [namespace] : [];
    });
}

function filtersOf(one: AuthzCase): readonly JsonValue[] {
  const view = viewOf(vectorText(`${FOLDER}${one.input}`));
  const all = effectivePolicies(view, one.proxy, DEFAULT_MESH_CONFIG.rootNamespace);
  const none = { custom: [], deny: [], allow: [], audit: [] };
  const policies = one.custom ? { ...none, custom: all.custom } : { ...all, custom: [] };
  const tools = {
    trustDomains: [one.trustDomain ?? 'cluster.local', ...(one.trustDomainAliases ?? [])],
    providers: createMeshConfig(one.meshConfig ?? {}).extensionProviders,
    namespacesOf: namespacesOf(one.services),
  };
  if (one.kind === 'TCP') {
    const { guards } = tcpAuthorization(policies, tools);
    return guards.map((guard) => toJson(listener.FilterSchema, encodeNetworkGuard(guard), options));
  }
  return httpAuthorization(policies, tools).filters.map(({ config }) => ({
    typedConfig: toJson(wkt.AnySchema, encodeFilter(config), options),
  }));
}

/** The filter as our proto library writes it, so that only what it says is compared. */
function canonical(file: string, kind: AuthzCase['kind']): JsonValue {
  const json = parse(vectorText(`${FOLDER}${file}`)) as JsonValue;
  if (kind === 'TCP') return toJson(listener.FilterSchema, fromJson(listener.FilterSchema, json, options), options);
  const message = fromJson(hcm.HttpFilterSchema, json, options);
  const { typedConfig } = toJson(hcm.HttpFilterSchema, message, options) as { typedConfig: JsonValue };
  return { typedConfig };
}

vectorSuite({
  file: `${FOLDER}cases.json`,
  cases,
  title: ({ name }) => name,
  run: (one) => {
    expect(filtersOf(one)).toEqual(one.want.map((file) => canonical(file, one.kind)));
  },
});
