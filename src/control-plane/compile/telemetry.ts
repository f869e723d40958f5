import type { AccessLog, AccessLogFilter, AccessLogFormat } from '../../model/access-log.js';
import type { MetadataStruct } from '../../model/metadata.js';
import type { AccessLogging, LogProvider } from '../kinds/types.js';
import type { ConfigView, Document } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { logFilterOf } from './log-filter.js';
import { BUILT_IN_LOG, withBreak } from './log-format.js';
import { type PolicySubject, policiesFor } from './policy-scope.js';

/** Whose exchanges are logged: those that a workload sends, or those that it serves. */
export type LogDirection = 'CLIENT' | 'SERVER';

/** The access logs of a workload (Istio: mergeLogs); undefined = none. */
export function accessLogsFor(
  view: ConfigView,
  subject: PolicySubject,
  direction: LogDirection,
  config: MeshConfig,
): readonly AccessLog[] | undefined {
  const { defaults } = config.accessLogs;
  const entries = effectiveTelemetry(view, subject, config.rootNamespace)
    .flatMap(({ spec }) => spec.accessLogging ?? [])
    .filter(({ match }) => isForDirection(match, direction));
  const filters = mergeLogs(entries, defaults);
  const logs = [...filters].flatMap(([name, filter]) => logTo(name, filter, config) ?? []);
  return logs.length === 0 ? undefined : logs;
}

function keepOnly(filters: LogFilters, names: readonly string[]): void {
  for (const name of filters.keys()) if (!names.includes(name)) filters.delete(name);
}

type LogFilters = Map<string, AccessLogFilter | undefined>;

/** Providers with their filters, the entries of wider scopes first. */
function mergeLogs(entries: readonly AccessLogging[], defaults: readonly string[]): LogFilters {
  let inScope = defaults;
  const filters: LogFilters = new Map(defaults.map((name) => [name, undefined]));
  for (const { providers = [], disabled, filter } of entries) {
    // Istio: providers that are named replace those of wider scopes.
    if (providers.length > 0) {
      inScope = providers.map(({ name }) => name);
      keepOnly(filters, inScope);
    }
    for (const name of inScope.length > 0 ? inScope : [BUILT_IN_LOG]) {
      if (disabled === true) filters.delete(name);
      else filters.set(name, logFilterOf(filter?.expression));
    }
  }
  return filters;
}

/** Istio: of each scope the oldest holds: the mesh's, then that of the namespace, then that which selects the workload. */
export function effectiveTelemetry(
  view: ConfigView,
  subject: PolicySubject,
  rootNamespace: string,
): readonly Document<'Telemetry'>[] {
  const all = view.list('Telemetry');
  if (all.length === 0) return [];
  const found = policiesFor(all, subject, { view, rootNamespace });
  const isWide = ({ spec }: Document<'Telemetry'>) =>
    spec.selector === undefined && spec.targetRef === undefined && (spec.targetRefs ?? []).length === 0;
  const scopes = [
    found.find((one) => isWide(one) && one.namespace === rootNamespace),
    found.find(
      (one) => isWide(one) && one.namespace === subject.namespace && one.namespace !== rootNamespace,
    ),
    found.find((one) => !isWide(one) && one.namespace === subject.namespace),
  ];
  return scopes.filter((one) => one !== undefined);
}

export function isForDirection(match: AccessLogging['match'], direction: LogDirection): boolean {
  const { mode = 'CLIENT_AND_SERVER' } = match ?? {};
  return mode === 'CLIENT_AND_SERVER' || mode === direction;
}

function logTo(
  name: string,
  filter: AccessLogFilter | undefined,
  { accessLogs }: MeshConfig,
): AccessLog | undefined {
  const provider = accessLogs.providers.find((one) => one.name === name)?.envoyFileAccessLog;
  if (provider === undefined && name !== BUILT_IN_LOG) return undefined;
  const { path = accessLogs.path, logFormat, omitEmptyValues = false } = provider ?? {};
  return { sink: sinkOf(path), format: formatOf(logFormat, omitEmptyValues) ?? accessLogs.format, filter };
}

function sinkOf(path: string): AccessLog['sink'] {
  if (path === '/dev/stdout' || path === '') return { kind: 'stdout' };
  return path === '/dev/stderr' ? { kind: 'stderr' } : { kind: 'file', path };
}

function formatOf(
  format: NonNullable<LogProvider['envoyFileAccessLog']>['logFormat'],
  omitEmptyValues: boolean,
): AccessLogFormat | undefined {
  // Texts, numbers, lists and maps: what was read from a document is plain JSON.
  if (format?.labels) return { kind: 'json', template: format.labels as MetadataStruct, omitEmptyValues };
  return format?.text ? { kind: 'text', text: withBreak(format.text), omitEmptyValues } : undefined;
}
