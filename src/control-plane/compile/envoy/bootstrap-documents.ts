import type { Node } from '../../../model/node.js';
import type { ConfigView } from '../../kinds/view.js';
import type { MeshConfig } from '../../mesh/mesh-config.js';
import { selects } from '../../mesh/visibility.js';
import { bootstrapPatchesFor } from '../envoy-filter/patches.js';
import { meshConfigOf, meshDocument } from '../mesh-document.js';
import { isJsonObject, type JsonMap, mergeJson } from './merge-json.js';

/** Istio: variables of a proxy's process that begin so are metadata of its node. */
const METADATA = 'ISTIO_META_';

/** For whom a bootstrap file is. */
export interface BootstrapSubject {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly node: Pick<Node, 'metadata' | 'extra'>;
}

/** Texts that documents add to the metadata of a node: of the mesh, then of ProxyConfigs (Istio: the nearest wins). */
export function bootstrapMetadata(
  view: ConfigView,
  { namespace, labels }: Pick<BootstrapSubject, 'namespace' | 'labels'>,
  mesh: MeshConfig,
): Readonly<Record<string, string>> {
  const { rootNamespace } = meshConfigOf(view, mesh);
  const all = view.list('ProxyConfig');
  const hasSelector = (spec: (typeof all)[number]['spec']) =>
    Object.keys(spec.selector?.matchLabels ?? {}).length > 0;
  // Of one scope the oldest counts.
  const scopes = [
    all.find((one) => one.namespace === rootNamespace && !hasSelector(one.spec)),
    all.find(
      (one) => one.namespace === namespace && one.namespace !== rootNamespace && !hasSelector(one.spec),
    ),
    all.find(
      ({ namespace: own, spec }) =>
        own === namespace && hasSelector(spec) && selects(spec.selector?.matchLabels, labels),
    ),
  ];
  const variables: Record<string, string> = {
    ...meshDocument(view)?.defaultConfig?.proxyMetadata,
    ...Object.assign({}, ...scopes.map((one) => one?.spec.environmentVariables)),
  };
  return Object.fromEntries(
    Object.entries(variables)
      .filter(([name]) => name.startsWith(METADATA))
      .map(([name, value]) => [name.slice(METADATA.length), value]),
  );
}

/** The bootstrap with the patches of EnvoyFilters, which Istio merges as protobuf does. */
export function patchBootstrap(
  bootstrap: JsonMap,
  view: ConfigView,
  subject: BootstrapSubject,
  mesh: MeshConfig,
): JsonMap {
  const { rootNamespace } = meshConfigOf(view, mesh);
  let patched = bootstrap;
  for (const { json } of bootstrapPatchesFor(view, subject, rootNamespace)) {
    if (isJsonObject(json)) patched = mergeJson(patched, json);
  }
  return patched;
}
