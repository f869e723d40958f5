import type { Node } from '../../model/node.js';
import type { CustomTag, RequestIdRules, TagSource } from '../../model/tracing.js';
import type { ExtensionProviderSpec, Tracing } from '../kinds/types.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { PolicySubject } from './policy-scope.js';
import { effectiveTelemetry, isForDirection, type LogDirection } from './telemetry.js';

/** How the requests of a workload are traced, before the services that it takes are looked up. */
export interface TracingSpec {
  /** Undefined = what the process has (Istio: `enableTracing` without any provider). */
  readonly provider: ExtensionProviderSpec | undefined;
  /** Percent. */
  readonly sampling: number;
  readonly customTags: readonly CustomTag[];
  /** 0 = Envoy's default, unless the provider says. */
  readonly maxPathTagLength: number;
  readonly noContextPropagation: boolean;
  readonly requestIds: RequestIdRules | undefined;
  /** What spans of a proxy are called by. */
  readonly serviceName: string;
}

/** Istio: PILOT_TRACE_SAMPLING. */
const DEFAULT_SAMPLING = 1;

interface Merged {
  provider: string | undefined;
  isDisabled: boolean;
  sampling: number | undefined;
  customTags: TagSpecs | undefined;
  decidesTracing: boolean;
  hasIstioTags: boolean;
  noContextPropagation: boolean;
}

/** How a node's requests of a direction are traced (Istio: Telemetries.Tracing); undefined = they are not. */
export function tracingSpec(
  view: ConfigView,
  subject: PolicySubject & { readonly node: Node; readonly isOurs: boolean },
  direction: LogDirection,
  config: MeshConfig,
): TracingSpec | undefined {
  const { defaults, isEnabled, proxy } = config.tracing;
  const entries = effectiveTelemetry(view, subject, config.rootNamespace).flatMap(
    ({ spec }) => spec.tracing ?? [],
  );
  const identity = subject.isOurs ? ownTags(config) : tagsOf(subject.node, config);
  const serviceName = subject.isOurs ? '' : subject.node.cluster;
  const common = { maxPathTagLength: proxy.maxPathTagLength ?? 0, serviceName };
  if (entries.length === 0 && defaults.length === 0) {
    if (!isEnabled) return undefined;
    const tags = proxy.enableIstioTags === false ? [] : [...identity, ...DRY_RUN_TAGS];
    return {
      ...common,
      provider: undefined,
      sampling: meshSampling(config),
      customTags: sorted([...tags, ...customTags(proxy.customTags)]),
      noContextPropagation: false,
      requestIds: undefined,
    };
  }
  const merged = merge(
    entries.filter(({ match }) => isForDirection(match, direction)),
    defaults[0],
  );
  const provider = config.tracing.providers.find(
    ({ name = '' }) => name.toLowerCase() === merged.provider?.toLowerCase(),
  );
  if (merged.isDisabled || provider === undefined || !isTracer(provider)) return undefined;
  const own = Object.keys(merged.customTags ?? {}).length === 0 ? proxy.customTags : merged.customTags;
  return {
    ...common,
    provider,
    // Istio: a sampler of the provider gets everything.
    sampling: provider.opentelemetry?.dynatraceSampler ? 100 : (merged.sampling ?? meshSampling(config)),
    customTags: sorted([...(merged.hasIstioTags ? [...identity, ...DRY_RUN_TAGS] : []), ...customTags(own)]),
    noContextPropagation: merged.noContextPropagation,
    requestIds: { packsTraceReason: true, decidesTracing: merged.decidesTracing },
  };
}

/** Later entries replace what earlier ones say, each field by itself; of providers the first counts. */
function merge(entries: readonly Tracing[], provider: string | undefined): Merged {
  const merged: Merged = {
    provider,
    isDisabled: false,
    sampling: undefined,
    customTags: undefined,
    decidesTracing: true,
    hasIstioTags: true,
    noContextPropagation: false,
  };
  for (const one of entries) {
    merged.provider = one.providers?.[0]?.name ?? merged.provider;
    merged.isDisabled = one.disableSpanReporting ?? merged.isDisabled;
    merged.sampling = one.randomSamplingPercentage ?? merged.sampling;
    merged.customTags = one.customTags ?? merged.customTags;
    merged.decidesTracing = one.useRequestIdForTraceSampling ?? merged.decidesTracing;
    merged.hasIstioTags = one.enableIstioTags ?? merged.hasIstioTags;
    merged.noContextPropagation = one.disableContextPropagation ?? merged.noContextPropagation;
  }
  return merged;
}

/** The providers that Istio makes tracers of. */
function isTracer({ zipkin, datadog, skywalking, opentelemetry }: ExtensionProviderSpec): boolean {
  return [zipkin, datadog, skywalking, opentelemetry].some((one) => one !== undefined);
}

/** Istio: more than everything is the default. */
function meshSampling({ tracing }: MeshConfig): number {
  const { sampling = 0 } = tracing.proxy;
  return sampling === 0 || sampling > 100 ? DEFAULT_SAMPLING : sampling;
}

const literal = (tag: string, value: string): CustomTag => ({ tag, source: { kind: 'literal', value } });

/** Istio's tags of a proxy (buildServiceTags). */
function tagsOf({ metadata, extra }: Node, { tracing }: MeshConfig): readonly CustomTag[] {
  const { LABELS, NAMESPACE, CLUSTER_ID } = metadata;
  const meshId = extra?.['MESH_ID'];
  return [
    literal('istio.canonical_revision', LABELS['service.istio.io/canonical-revision'] || 'latest'),
    literal('istio.canonical_service', LABELS['service.istio.io/canonical-name'] || 'unknown'),
    literal('istio.mesh_id', (typeof meshId === 'string' && meshId) || tracing.meshId || 'unknown'),
    literal('istio.namespace', NAMESPACE || 'default'),
    literal('istio.cluster_id', CLUSTER_ID || 'unknown'),
  ];
}

/** The same of a process: it knows by itself who it is, so that many can be sent the same. */
function ownTags({ tracing }: MeshConfig): readonly CustomTag[] {
  const own = (tag: string, name: string, defaultValue: string): CustomTag => ({
    tag,
    source: { kind: 'environment', name, defaultValue },
  });
  return [
    own('istio.canonical_revision', 'INMESH_CANONICAL_REVISION', 'latest'),
    own('istio.canonical_service', 'INMESH_CANONICAL_SERVICE', 'unknown'),
    literal('istio.mesh_id', tracing.meshId || 'unknown'),
    own('istio.namespace', 'INMESH_NAMESPACE', 'default'),
    own('istio.cluster_id', 'INMESH_CLUSTER_ID', 'unknown'),
  ];
}

const dryRunTag = (name: string, key: string): CustomTag => ({
  tag: `istio.authorization.dry_run.${name}`,
  source: {
    kind: 'metadata',
    of: 'request',
    path: { namespace: 'envoy.filters.http.rbac', keys: [`istio_dry_run_${key}`] },
    defaultValue: '',
  },
});

/** What policies would have done that are not enforced; where there are none, there is no such tag. */
const DRY_RUN_TAGS: readonly CustomTag[] = [
  dryRunTag('allow_policy.name', 'allow_shadow_effective_policy_id'),
  dryRunTag('allow_policy.result', 'allow_shadow_engine_result'),
  dryRunTag('deny_policy.name', 'deny_shadow_effective_policy_id'),
  dryRunTag('deny_policy.result', 'deny_shadow_engine_result'),
];

/** A tag of a Telemetry, or of the mesh's default. */
interface TagSpec {
  readonly literal?: { readonly value?: string | undefined } | undefined;
  readonly environment?: NamedSource | undefined;
  readonly header?: NamedSource | undefined;
  readonly formatter?: { readonly value: string } | undefined;
}

interface NamedSource {
  readonly name?: string | undefined;
  readonly defaultValue?: string | undefined;
}

type TagSpecs = Readonly<Record<string, TagSpec>>;

function customTags(tags: TagSpecs = {}): readonly CustomTag[] {
  return Object.entries(tags).flatMap(([tag, one]) => {
    const source = sourceOf(one);
    return source === undefined ? [] : [{ tag, source }];
  });
}

/** What Envoy would refuse, nameless and empty, is left out. */
function sourceOf({ literal: text, environment, header, formatter }: TagSpec): TagSource | undefined {
  if (text !== undefined) return text.value ? { kind: 'literal', value: text.value } : undefined;
  const { name, defaultValue = '' } = environment ?? header ?? {};
  if (environment !== undefined) return name ? { kind: 'environment', name, defaultValue } : undefined;
  if (header !== undefined)
    return name ? { kind: 'header', name: name.toLowerCase(), defaultValue } : undefined;
  return formatter === undefined ? undefined : { kind: 'format', format: formatter.value };
}

function sorted(tags: readonly CustomTag[]): readonly CustomTag[] {
  return tags.toSorted((a, b) => (a.tag < b.tag ? -1 : a.tag > b.tag ? 1 : 0));
}
