import { create } from '@bufbuild/protobuf';
import type { ClusterSpecifier, WeightedChoice, WeightedCluster } from '../model/route.js';
import { route, wkt } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeOverrides, encodeOverrides } from './filter-config.js';
import {
  decodeHeaderRules,
  encodeHeaderRules,
  HEADER_RULE_FIELDS,
  headerName,
  readableHeader,
} from './header-mutation.js';
import { decodeMetadataMatch, encodeMetadataMatch } from './metadata-match.js';
import { at, type Path, refuse, required } from './path.js';

const MAX_TOTAL_WEIGHT = 0xffff_ffff;

/** Names of the fields that are decoded here. */
export const CLUSTER_FIELDS: readonly string[] = [
  'cluster',
  'cluster_header',
  'weighted_clusters',
  'cluster_not_found_response_code',
  'cluster_specifier_plugin',
  'inline_cluster_specifier_plugin',
];

const weightedFields = onlyFields(() => route.WeightedClusterSchema, {
  enforced: ['clusters', 'total_weight', 'header_name', 'use_hash_policy'],
  // Names overrides of the weights in Envoy's runtime layer. There is no such layer here.
  ignored: ['runtime_key_prefix'],
});

const weightFields = onlyFields(() => route.WeightedCluster_ClusterWeightSchema, {
  enforced: [
    'name',
    'cluster_header',
    'weight',
    'typed_per_filter_config',
    'host_rewrite_literal',
    'metadata_match',
    ...HEADER_RULE_FIELDS,
  ],
});

const pluginFields = onlyFields(() => route.ClusterSpecifierPluginSchema, {
  enforced: ['extension', 'is_optional'],
});

/** Which clusters a route forwards to. */
export function decodeClusterSpecifier(
  specifier: route.RouteAction['clusterSpecifier'],
  path: Path,
): ClusterSpecifier {
  switch (specifier.case) {
    case 'cluster':
      if (specifier.value === '') refuse(at(path, 'cluster'), 'must not be empty');
      return { kind: 'cluster', name: specifier.value };
    case 'clusterHeader':
      return { kind: 'header', name: readableHeader(specifier.value, at(path, 'cluster_header')) };
    case 'weightedClusters':
      return decodeWeightedClusters(specifier.value, at(path, 'weighted_clusters'));
    default:
      return refuse(path, 'needs a cluster, a cluster_header or weighted_clusters');
  }
}

/**
 * The names of plug-ins that a table declares. There are none here, so each must be optional.
 * Envoy: routes that use an optional one which is not there are left out.
 */
export function decodePlugins(
  plugins: readonly route.ClusterSpecifierPlugin[],
  path: Path,
): ReadonlySet<string> {
  return new Set(
    plugins.map((plugin, index) => {
      const where = at(path, 'cluster_specifier_plugins', index);
      return required(optionalPlugin(plugin, where).extension, at(where, 'extension')).name;
    }),
  );
}

/** Whether a route is left out because its plug-in is not there. */
export function lacksPlugin(
  action: route.Route['action'],
  plugins: ReadonlySet<string>,
  path: Path,
): boolean {
  if (action.case !== 'route') return false;
  const { clusterSpecifier: specifier } = action.value;
  const where = at(path, 'route');
  if (specifier.case === 'inlineClusterSpecifierPlugin') {
    optionalPlugin(specifier.value, at(where, 'inline_cluster_specifier_plugin'));
    return true;
  }
  if (specifier.case !== 'clusterSpecifierPlugin') return false;
  if (!plugins.has(specifier.value)) {
    refuse(at(where, 'cluster_specifier_plugin'), `${JSON.stringify(specifier.value)} is not declared`);
  }
  return true;
}

function optionalPlugin(plugin: route.ClusterSpecifierPlugin, path: Path): route.ClusterSpecifierPlugin {
  pluginFields(plugin, path);
  const type = plugin.extension?.typedConfig?.typeUrl ?? '';
  return plugin.isOptional ? plugin : refuse(path, `the plug-in ${JSON.stringify(type)} is not supported`);
}

function decodeWeightedClusters(message: route.WeightedCluster, path: Path): ClusterSpecifier {
  weightedFields(message, path);
  const clusters = message.clusters.map((cluster, index) =>
    decodeWeight(cluster, at(path, 'clusters', index)),
  );
  const totalWeight = clusters.reduce((sum, { weight }) => sum + weight, 0);
  if (totalWeight === 0) refuse(at(path, 'clusters'), 'the sum of the weights must be at least 1');
  if (totalWeight > MAX_TOTAL_WEIGHT)
    refuse(at(path, 'clusters'), 'the sum of the weights must be below 2^32');
  if (message.totalWeight !== undefined && message.totalWeight !== totalWeight) {
    refuse(at(path, 'total_weight'), `is ${message.totalWeight} but the weights add up to ${totalWeight}`);
  }
  return { kind: 'weighted', clusters, totalWeight, choice: decodeChoice(message, path) };
}

function decodeChoice(
  { randomValueSpecifier: specifier }: route.WeightedCluster,
  path: Path,
): WeightedChoice | undefined {
  switch (specifier.case) {
    case 'headerName':
      return { kind: 'header', name: headerName(specifier.value, at(path, 'header_name')) };
    case 'useHashPolicy':
      return specifier.value.value ? { kind: 'hash' } : undefined;
    default:
      return undefined;
  }
}

function decodeWeight(message: route.WeightedCluster_ClusterWeight, path: Path): WeightedCluster {
  weightFields(message, path);
  const { name, clusterHeader } = message;
  if (name !== '' && clusterHeader !== '') refuse(path, 'may have only one of name and cluster_header');
  if (name === '' && clusterHeader === '') refuse(path, 'needs a name or a cluster_header');
  return {
    name,
    clusterHeader:
      clusterHeader === '' ? undefined : readableHeader(clusterHeader, at(path, 'cluster_header')),
    weight: required(message.weight, at(path, 'weight')),
    filterOverrides: decodeOverrides(message.typedPerFilterConfig, path),
    headers: decodeHeaderRules(message, path),
    hostRewrite: message.hostRewriteSpecifier.value || undefined,
    metadataMatch: decodeMetadataMatch(message.metadataMatch),
  };
}

/** The cluster specifier as the oneof of a route action. */
export function encodeClusterSpecifier(specifier: ClusterSpecifier): route.RouteAction['clusterSpecifier'] {
  if (specifier.kind === 'cluster') return { case: 'cluster', value: specifier.name };
  if (specifier.kind === 'header') return { case: 'clusterHeader', value: specifier.name };
  const value = create(route.WeightedClusterSchema, {
    clusters: specifier.clusters.map(encodeWeight),
    // Deprecated, but clients of before its deprecation take its absence for 100.
    totalWeight: specifier.totalWeight,
    randomValueSpecifier: encodeChoice(specifier.choice),
  });
  return { case: 'weightedClusters', value };
}

function encodeChoice(choice: WeightedChoice | undefined): route.WeightedCluster['randomValueSpecifier'] {
  if (choice === undefined) return { case: undefined };
  if (choice.kind === 'header') return { case: 'headerName', value: choice.name };
  return { case: 'useHashPolicy', value: create(wkt.BoolValueSchema, { value: true }) };
}

function encodeWeight(one: WeightedCluster): route.WeightedCluster_ClusterWeight {
  const { name, clusterHeader, weight, filterOverrides, headers, hostRewrite, metadataMatch } = one;
  return create(route.WeightedCluster_ClusterWeightSchema, {
    name,
    clusterHeader: clusterHeader ?? '',
    weight,
    typedPerFilterConfig: encodeOverrides(filterOverrides),
    ...encodeHeaderRules(headers),
    ...encodeMetadataMatch(metadataMatch),
    hostRewriteSpecifier:
      hostRewrite === undefined
        ? { case: undefined }
        : { case: 'hostRewriteLiteral' as const, value: hostRewrite },
  });
}
