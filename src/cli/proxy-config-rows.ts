import { cellText, type Fields, fieldsOf, listOf } from './fields.js';

/** A resource as `proxy-config` tells of it. */
export interface SentResource {
  readonly type: string;
  readonly name: string;
  readonly state: string;
  readonly error?: string;
  readonly version?: string;
  /** In Envoy's JSON. */
  readonly resource?: unknown;
}

/** Which resources are shown: istioctl's flags. */
export interface ResourceFilter {
  readonly fqdn?: string;
  readonly port?: number;
  readonly subset?: string;
  readonly direction?: string;
  readonly address?: string;
  readonly resourceName?: string;
  readonly status?: string;
}

/** How the resources of a type are shown. */
interface Columns {
  readonly short: string;
  readonly head: readonly string[];
  readonly rows: (resource: Fields, one: SentResource) => readonly (readonly string[])[];
}

/** The columns of each type, by the word for it. */
export const COLUMNS: Readonly<Record<string, Columns>> = {
  clusters: {
    short: 'CDS',
    head: ['SERVICE FQDN', 'PORT', 'SUBSET', 'DIRECTION', 'TYPE', 'STATE'],
    rows: ({ type }, { name, state }) => {
      const { host, port, subset, direction } = partsOf(name);
      return [[host, port, subset, direction, cellText(type, 'STATIC'), state]];
    },
  },
  listeners: {
    short: 'LDS',
    head: ['NAME', 'ADDRESS', 'PORT', 'ROUTE', 'STATE'],
    rows: (resource, { name, state }) => {
      const { address, port } = addressOf(resource['address']);
      return [[name, address, port, routeNamesIn(resource).join(','), state]];
    },
  },
  routes: {
    short: 'RDS',
    head: ['NAME', 'VIRTUAL HOST', 'DOMAINS', 'MATCH', 'TO', 'STATE'],
    rows: ({ virtual_hosts }, { name, state }) =>
      listOf(virtual_hosts).flatMap((host) =>
        listOf(host['routes']).map((route) => [
          name,
          cellText(host['name']),
          domainsText(host['domains']),
          matchText(fieldsOf(route['match'])),
          targetText(route),
          state,
        ]),
      ),
  },
  endpoints: {
    short: 'EDS',
    head: ['ENDPOINT', 'HEALTH', 'LOCALITY', 'WEIGHT', 'CLUSTER'],
    rows: ({ endpoints }, { name }) =>
      listOf(endpoints).flatMap((group) =>
        listOf(group['lb_endpoints']).map((one) => {
          const { address, port } = addressOf(fieldsOf(one['endpoint'])['address']);
          const health = cellText(one['health_status'], 'HEALTHY');
          const weight = cellText(one['load_balancing_weight'], '1');
          return [joined(address, port), health, localityText(fieldsOf(group['locality'])), weight, name];
        }),
      ),
  },
  secrets: {
    short: 'SDS',
    head: ['RESOURCE NAME', 'STATE', 'VERSION'],
    rows: (_, { name, state, version = '' }) => [[name, state, version.slice(0, 12)]],
  },
};

/** The rows of one resource. */
export function rowsOf(
  { rows }: Columns,
  one: SentResource,
  filter: ResourceFilter,
): readonly (readonly string[])[] {
  const all = rows(fieldsOf(one.resource), one);
  // Of endpoints it is rows that are asked for, not resources.
  if (one.type !== 'EDS') return all;
  return all.filter(
    ([where = '', health = '']) =>
      (filter.address === undefined || where.replace(/:\d+$/, '') === filter.address) &&
      (filter.status === undefined || health.toLowerCase() === filter.status.toLowerCase()),
  );
}

/** Whether a resource is among those that are asked for. */
export function matches(one: SentResource, filter: ResourceFilter): boolean {
  const { fqdn, port, subset, direction, resourceName, address } = filter;
  if (resourceName !== undefined && one.name !== resourceName) return false;
  const parts = partsOf(one.name);
  const isListener = one.type === 'LDS';
  const place = isListener ? addressOf(fieldsOf(one.resource)['address']) : { address: '', port: parts.port };
  return (
    (fqdn === undefined || parts.host === fqdn || parts.host.startsWith(`${fqdn}.`)) &&
    (port === undefined || place.port === String(port) || parts.port === String(port)) &&
    (subset === undefined || parts.subset === subset) &&
    (direction === undefined || parts.direction === direction.toLowerCase()) &&
    (address === undefined || !isListener || place.address === address)
  );
}

/** `outbound|80|v1|reviews.default.svc.cluster.local` in its parts. */
function partsOf(name: string) {
  const [direction = '', port = '', subset = '', ...host] = name.split('|');
  if (host.length > 0) return { direction, port, subset, host: host.join('|') };
  // Listeners and clusters that no service stands behind.
  const [, own = name, number = ''] = /^(.*?):(\d+)$/.exec(name) ?? [];
  return { direction: '', port: number, subset: '', host: own };
}

function addressOf(value: unknown): { readonly address: string; readonly port: string } {
  const { socket_address, pipe } = fieldsOf(value);
  const { address, port_value } = fieldsOf(socket_address);
  const { path } = fieldsOf(pipe);
  return path === undefined
    ? { address: cellText(address), port: cellText(port_value) }
    : { address: cellText(path), port: '' };
}

function joined(address: string, port: string): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return port === '' ? host : `${host}:${port}`;
}

function localityText({ region, zone, sub_zone }: Fields): string {
  return [region, zone, sub_zone].filter((part) => part !== undefined && part !== '').join('/');
}

function domainsText(value: unknown): string {
  const domains = Array.isArray(value) ? value.map((domain) => cellText(domain)) : [];
  const [first = ''] = domains;
  return domains.length > 1 ? `${first} +${domains.length - 1}` : first;
}

function matchText(match: Fields): string {
  const { prefix, path, safe_regex, path_separated_prefix, headers, query_parameters } = match;
  const regex = fieldsOf(safe_regex)['regex'];
  const own = [
    prefix !== undefined ? `${cellText(prefix)}*` : '',
    cellText(path),
    path_separated_prefix !== undefined ? `${cellText(path_separated_prefix)}/*` : '',
    regex !== undefined ? `~${cellText(regex)}` : '',
    ...listOf(headers).map(({ name }) => `header ${cellText(name)}`),
    ...listOf(query_parameters).map(({ name }) => `query ${cellText(name)}`),
  ];
  return own.filter((text) => text !== '').join(' ');
}

function targetText({ route, redirect, direct_response }: Fields): string {
  if (redirect !== undefined) return 'redirect';
  if (direct_response !== undefined) return `status ${cellText(fieldsOf(direct_response)['status'])}`;
  const { cluster, weighted_clusters, cluster_header } = fieldsOf(route);
  if (cluster !== undefined) return cellText(cluster);
  if (cluster_header !== undefined) return `header ${cellText(cluster_header)}`;
  return listOf(fieldsOf(weighted_clusters)['clusters'])
    .map(({ name, weight }) => `${cellText(name)} ${cellText(weight, '0')}`)
    .join(', ');
}

/** The names of route tables that a listener asks for, wherever in it they stand. */
function routeNamesIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) =>
    key === 'route_config_name' && typeof part === 'string' ? [part] : routeNamesIn(part),
  );
}
