import type { ServiceReport } from '../control-plane.js';
import { conditionsText } from './object-status.js';
import { namespaceOf, type ShownObject, SOURCE } from './objects.js';

/** Which columns are asked for besides the usual ones. */
export interface ColumnOptions {
  /** All labels in one. */
  readonly showLabels?: boolean;
  /** One for each of these labels; several in a text with commas between. */
  readonly labelColumns?: readonly string[];
}

/** A column of a table of objects. */
export interface Column {
  readonly head: string;
  readonly text: (object: ShownObject) => string;
}

const COLUMNS: readonly Column[] = [
  { head: 'NAMESPACE', text: namespaceOf },
  { head: 'KIND', text: ({ kind }) => kind },
  { head: 'NAME', text: ({ metadata }) => metadata.name },
  { head: 'HOSTS', text: ({ spec }) => hostsOf(spec) },
  { head: 'REVISION', text: ({ metadata }) => metadata.resourceVersion ?? '' },
];
const STATUS: Column = { head: 'STATUS', text: ({ status }) => conditionsText(status) };
const FROM: Column = { head: 'FROM', text: ({ metadata }) => metadata.annotations?.[SOURCE] ?? '' };
const LABELS: Column = {
  head: 'LABELS',
  text: ({ metadata }) =>
    Object.entries(metadata.labels ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join(',') || NONE,
};
/** What kubectl shows where there is no label. */
const NONE = '<none>';

/** The columns of a table of objects. */
export function columnsFor(
  objects: readonly ShownObject[],
  services: readonly ServiceReport[],
  isWide: boolean,
  { showLabels = false, labelColumns = [] }: ColumnOptions,
): readonly Column[] {
  const further = [
    ...(isWide ? [FROM] : []),
    ...labelColumns
      .flatMap((text) => text.split(','))
      .filter((label) => label !== '')
      .map(labelColumn),
    ...(isWide || showLabels ? [LABELS] : []),
  ];
  if (objects.every(({ kind }) => kind === 'Service'))
    return [...serviceColumns(services, isWide), ...further];
  const hasStatus = objects.some(({ status }) => conditionsText(status) !== '');
  return [...COLUMNS, ...(hasStatus ? [STATUS] : []), ...further];
}

/** Its head is the label's name without prefix, as for kubectl. */
function labelColumn(label: string): Column {
  const head = label.slice(label.lastIndexOf('/') + 1).toUpperCase();
  return { head, text: ({ metadata }) => metadata.labels?.[label] ?? NONE };
}

function serviceColumns(services: readonly ServiceReport[], isWide: boolean): readonly Column[] {
  const of = (tell: (report: ServiceReport) => string) => (object: ShownObject) => {
    const found = services.find(
      ({ name, namespace }) => name === object.metadata.name && namespace === namespaceOf(object),
    );
    return found === undefined ? '' : tell(found);
  };
  const each = (texts: readonly string[]) => [...new Set(texts)].filter((text) => text !== '').join(',');
  return [
    { head: 'NAMESPACE', text: namespaceOf },
    { head: 'NAME', text: ({ metadata }) => metadata.name },
    { head: 'PORTS', text: of(({ ports }) => each(ports.map(({ number, name }) => `${number}/${name}`))) },
    { head: 'ENDPOINTS', text: of(({ endpoints }) => String(endpoints.length)) },
    { head: 'VERSIONS', text: of(({ endpoints }) => each(endpoints.map(({ version }) => version))) },
    { head: 'SUBSETS', text: of(({ subsets }) => each(subsets.map(({ name }) => name))) },
    { head: 'MTLS', text: of(({ endpoints }) => each(endpoints.map(({ mtls }) => mtls))) },
    ...(isWide
      ? [
          { head: 'HOST', text: of(({ host }) => host) },
          {
            head: 'LOCALITIES',
            text: of(({ endpoints }) => each(endpoints.map(({ locality }) => locality))),
          },
        ]
      : []),
  ];
}

function hostsOf(spec: unknown): string {
  if (typeof spec !== 'object' || spec === null) return '';
  if ('hosts' in spec && Array.isArray(spec.hosts)) return spec.hosts.join(',');
  if ('hostnames' in spec && Array.isArray(spec.hostnames)) return spec.hostnames.join(',');
  return 'host' in spec ? String(spec.host) : '';
}
