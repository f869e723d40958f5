import { checkRegex, checkSelector } from './common-rules.js';
import { renamedFilter } from './envoy-filter-names.js';
import { envoyFilterSchema } from './envoy-filter-schema.js';
import type { Kind } from './kind.js';
import { checkPolicyTargets } from './policy-target.js';
import { createReport, entriesOf, type Report } from './report.js';
import type { EnvoyFilterSpec } from './types.js';
import type { Document, FieldPath } from './view.js';

/** Istio EnvoyFilter: patches of what is compiled. */
export const envoyFilterKind: Kind<'EnvoyFilter'> = {
  name: 'EnvoyFilter',
  apiVersions: ['networking.istio.io/v1alpha3'],
  schema: envoyFilterSchema,
  validate,
};

type ConfigPatch = NonNullable<EnvoyFilterSpec['configPatches']>[number];
type Match = NonNullable<ConfigPatch['match']>;

/** What a patch may be matched by, by the class of objects that it is for. */
const MATCHED_BY: Readonly<Record<string, 'listener' | 'routeConfiguration' | 'cluster'>> = {
  LISTENER: 'listener',
  FILTER_CHAIN: 'listener',
  NETWORK_FILTER: 'listener',
  HTTP_FILTER: 'listener',
  ROUTE_CONFIGURATION: 'routeConfiguration',
  VIRTUAL_HOST: 'routeConfiguration',
  HTTP_ROUTE: 'routeConfiguration',
  CLUSTER: 'cluster',
};

/** Istio: ValidateEnvoyFilter. */
function validate({ spec }: Document<'EnvoyFilter'>) {
  const report = createReport();
  const { workloadSelector, targetRefs, configPatches } = spec;
  if (workloadSelector !== undefined) {
    checkSelector(workloadSelector.labels, ['spec', 'workloadSelector'], report);
    if ((targetRefs ?? []).length > 0) {
      report.invalid(['spec', 'targetRefs'], 'only one of workloadSelector, targetRefs may be given');
    }
  }
  checkPolicyTargets({ targetRefs }, report);
  for (const [patch, path] of entriesOf(configPatches, ['spec', 'configPatches'])) {
    checkPatch(patch, path, report);
  }
  return report.violations;
}

function checkPatch(
  { applyTo = 'INVALID', match, patch }: ConfigPatch,
  path: FieldPath,
  report: Report,
): void {
  if (applyTo === 'INVALID') report.invalid([...path, 'applyTo'], 'a patch says by applyTo what it is for');
  if (patch === undefined) report.invalid([...path, 'patch'], 'patch is required');
  else if ((patch.operation ?? 'INVALID') === 'INVALID') {
    report.invalid([...path, 'patch', 'operation'], 'a patch needs an operation');
  } else if (patch.operation !== 'REMOVE' && patch.value === undefined) {
    report.invalid([...path, 'patch', 'value'], `the operation ${patch.operation} needs a value`);
  } else if (patch.value !== undefined) {
    checkTyped(applyTo, patch.value, [...path, 'patch', 'value'], report);
  }
  if (match === undefined) return;
  const at = [...path, 'match'];
  const version = match.proxy?.proxyVersion ?? '';
  if (version !== '') checkRegex(version, [...at, 'proxy', 'proxyVersion'], report);
  checkContext(match, at, report);
  const wanted = MATCHED_BY[applyTo];
  const given = (['listener', 'routeConfiguration', 'cluster'] as const).filter(
    (field) => match[field] !== undefined,
  );
  const other = given.find((field) => wanted !== undefined && field !== wanted);
  if (other !== undefined)
    report.invalid([...at, other], `${applyTo} is matched by ${wanted}, not by ${other}`);
  if (given.length > 1) report.invalid(at, `a match has only one of ${given.join(', ')}`);
  if (wanted === 'listener') checkFilterMatch(match, applyTo, at, report);
}

function checkContext({ context, waypoint }: Match, path: FieldPath, report: Report): void {
  if (context === 'WAYPOINT' && waypoint === undefined) {
    report.invalid(path, 'the context WAYPOINT needs a waypoint to match');
  } else if (context !== 'WAYPOINT' && waypoint !== undefined) {
    report.invalid([...path, 'waypoint'], 'waypoint is for the context WAYPOINT');
  }
}

const EXTENSIONS: ReadonlySet<string> = new Set(['NETWORK_FILTER', 'HTTP_FILTER', 'LISTENER_FILTER']);
const TYPES = ['typed_config', 'typedConfig', 'config_discovery', 'configDiscovery'];

/** Envoy finds a filter by the type of its settings: by its name alone it no longer does. */
function checkTyped(
  applyTo: string,
  value: Readonly<Record<string, unknown>>,
  path: FieldPath,
  report: Report,
): void {
  if (!EXTENSIONS.has(applyTo) || TYPES.some((field) => value[field] !== undefined)) return;
  report.warn(path, 'a filter needs typed_config: Envoy does not look it up by its name');
}

const CONNECTION_MANAGERS: ReadonlySet<string> = new Set([
  'envoy.filters.network.http_connection_manager',
  'envoy.http_connection_manager',
]);

function checkFilterMatch({ listener }: Match, applyTo: string, path: FieldPath, report: Report): void {
  const filter = listener?.filterChain?.filter;
  if (filter === undefined) return;
  const at = [...path, 'listener', 'filterChain', 'filter'];
  if (applyTo === 'LISTENER' || applyTo === 'FILTER_CHAIN') {
    report.warn(at, `a filter has no effect on ${applyTo}`);
  }
  const { name = '', subFilter } = filter;
  checkFilterName(name, [...at, 'name'], report);
  checkFilterName(subFilter?.name ?? '', [...at, 'subFilter', 'name'], report);
  if (name === '') report.invalid([...at, 'name'], 'a filter is matched by its name');
  if (subFilter === undefined) return;
  const below = [...at, 'subFilter'];
  if (applyTo !== 'HTTP_FILTER') report.invalid(below, 'a subFilter is for HTTP_FILTER only');
  else if (!CONNECTION_MANAGERS.has(name)) {
    report.invalid(below, 'a subFilter is one of envoy.filters.network.http_connection_manager');
  } else if (!subFilter.name) report.invalid([...below, 'name'], 'a subFilter is matched by its name');
}

function checkFilterName(name: string, path: FieldPath, report: Report): void {
  const renamed = renamedFilter(name);
  if (renamed !== undefined) report.warn(path, `${name} is called ${renamed} now`);
}
