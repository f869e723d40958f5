import { WeakMemo } from '../../runtime/weak-memo.js';
import { derived } from '../kinds/derived.js';
import { meshConfigOfConfigMap } from '../kinds/mesh-config.js';
import { createReport } from '../kinds/report.js';
import type { MeshConfigSpec } from '../kinds/types.js';
import type { ConfigView } from '../kinds/view.js';
import { type ExtensionProviderInput, readProviders } from '../mesh/extension-provider.js';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../mesh/mesh-config.js';
import { BUILT_IN_LOG, meshLogFormat } from './log-format.js';

/**
 * The settings of the mesh with what its documents say: a MeshConfig, else Istio's ConfigMap `istio`. What code sets goes
 * before them.
 */
export function meshConfigOf(view: ConfigView, base: MeshConfig): MeshConfig {
  const spec = meshDocument(view);
  return spec === undefined ? base : merged.get([spec, base], () => merge(spec, base));
}

const merged = new WeakMemo<MeshConfig>();

/** The MeshConfig in force: the oldest document, else that of the ConfigMap. */
export const meshDocument = derived((view): MeshConfigSpec | undefined => {
  const [document] = view.list('MeshConfig');
  if (document !== undefined) return document.spec;
  for (const map of view.list('ConfigMap')) {
    const found = meshConfigOfConfigMap(map)?.value;
    if (found !== undefined) return found;
  }
  return undefined;
});

function merge(spec: MeshConfigSpec, base: MeshConfig): MeshConfig {
  const own = settingsOf(spec);
  const kept = Object.entries(base).filter(
    ([field, value]) => value !== DEFAULT_MESH_CONFIG[field as keyof MeshConfig] && !isEmptyList(value),
  );
  const { trustDomain } = base;
  return { ...base, ...own, ...Object.fromEntries(kept), ...(base.hasOwnTrustDomain && { trustDomain }) };
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function settingsOf(spec: MeshConfigSpec): Partial<MeshConfig> {
  const { trustDomain, trustDomainAliases, rootNamespace, outboundTrafficPolicy: outbound } = spec;
  const { localityLbSetting, zoneAwareLbSetting, pathNormalization, extensionProviders } = spec;
  const mode = outbound?.mode;
  const normalization = pathNormalization?.normalization;
  return {
    ...(trustDomain && { trustDomain }),
    ...(trustDomainAliases && { trustDomainAliases }),
    ...(rootNamespace && { rootNamespace }),
    ...(mode && { outboundTrafficPolicy: outboundMode(mode) }),
    ...(localityLbSetting && { localityLbSetting }),
    ...(zoneAwareLbSetting && { zoneAwareLbSetting }),
    ...(normalization && {
      pathNormalization: normalization === 'DEFAULT' ? 'BASE' : normalization,
    }),
    ...(extensionProviders && { extensionProviders: authorizers(extensionProviders) }),
    ...(spec.enableAutoMtls !== undefined && { enableAutoMtls: spec.enableAutoMtls }),
    exportTo: {
      services: spec.defaultServiceExportTo,
      virtualServices: spec.defaultVirtualServiceExportTo,
      destinationRules: spec.defaultDestinationRuleExportTo,
    },
    connections: {
      connectTimeoutMs: spec.connectTimeout || DEFAULT_MESH_CONFIG.connections.connectTimeoutMs,
      tcpKeepaliveMs: spec.tcpKeepalive?.time,
      dnsRefreshRateMs: spec.dnsRefreshRate || DEFAULT_MESH_CONFIG.connections.dnsRefreshRateMs,
      upgradesToHttp2: spec.h2UpgradePolicy === 'UPGRADE',
      pool: spec.defaultTrafficPolicy?.connectionPool,
      outlierDetection: spec.defaultTrafficPolicy?.outlierDetection,
    },
    defaultHttpRetryPolicy: spec.defaultHttpRetryPolicy,
    tracing: tracingOf(spec),
    accessLogs: {
      // Istio: a file is a provider by itself where none is named.
      defaults: spec.defaultProviders?.accessLogging ?? (spec.accessLogFile ? [BUILT_IN_LOG] : []),
      providers: spec.extensionProviders ?? [],
      path: spec.accessLogFile || DEFAULT_MESH_CONFIG.accessLogs.path,
      format: meshLogFormat(spec.accessLogFormat ?? '', spec.accessLogEncoding ?? 'TEXT'),
    },
  };
}

function tracingOf(spec: MeshConfigSpec): MeshConfig['tracing'] {
  return {
    defaults: spec.defaultProviders?.tracing ?? [],
    providers: spec.extensionProviders ?? [],
    isEnabled: spec.enableTracing ?? false,
    proxy: spec.defaultConfig?.tracing ?? {},
    meshId: spec.defaultConfig?.meshId ?? '',
  };
}

/** Who calls by name has names resolved in any case. */
function outboundMode(mode: string): MeshConfig['outboundTrafficPolicy'] {
  return mode === 'REGISTRY_ONLY' ? mode : 'ALLOW_ANY';
}

type Provider = NonNullable<MeshConfigSpec['extensionProviders']>[number];

/** Providers that authorize; what is wrong with them was told when the document was read. */
function authorizers(providers: readonly Provider[]): MeshConfig['extensionProviders'] {
  return readProviders(providers.flatMap(authorizer), createReport());
}

/** The provider as documents write it: times are texts again. */
function authorizer({ name, envoyExtAuthzHttp, envoyExtAuthzGrpc }: Provider): ExtensionProviderInput[] {
  const withTime = <T extends { readonly timeout?: number | undefined }>(one: T) => ({
    ...one,
    ...(one.timeout !== undefined && { timeout: `${one.timeout}ms` }),
  });
  if (envoyExtAuthzHttp === undefined && envoyExtAuthzGrpc === undefined) return [];
  // Its own schema checks it again, strictly.
  return [
    {
      name,
      ...(envoyExtAuthzHttp && { envoyExtAuthzHttp: withTime(envoyExtAuthzHttp) }),
      ...(envoyExtAuthzGrpc && { envoyExtAuthzGrpc: withTime(envoyExtAuthzGrpc) }),
    } as unknown as ExtensionProviderInput,
  ];
}
