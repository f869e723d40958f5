import { create } from '@bufbuild/protobuf';
import type { FilterDirection } from '../model/custom-filter.js';
import type { HttpFilter } from '../model/filter-config.js';
import type { HttpConnectionManager } from '../model/listener.js';
import type { RouteConfiguration } from '../model/route.js';
import { httpConnectionManager as hcm, type route } from '../proto/xds.js';
import { decodeAccessLogs, encodeAccessLogs } from './access-log.js';
import { CLIENT_CERT_FIELDS, decodeClientCert, encodeClientCert } from './client-cert.js';
import { adsSource, checkConfigSource } from './config-source.js';
import { onlyFields } from './field-guard.js';
import { decodeFilter, encodeFilter } from './filter-config.js';
import { decodeDiscovery, encodeDiscovery } from './filter-extension.js';
import { decodeInboundLimits, encodeInboundLimits, INBOUND_LIMIT_FIELDS } from './inbound-limits.js';
import { at, type Path, refuse } from './path.js';
import { decodeProcessing, encodeProcessing, PROCESSING_FIELDS } from './request-processing.js';
import { decodeRouteConfiguration, encodeRouteConfiguration } from './route.js';
import { decodeStreamLimits, encodeStreamLimits, LIMIT_FIELDS } from './stream-limits.js';
import { decodeRequestIds, decodeTracing, encodeRequestIds, encodeTracing } from './tracing.js';
import { decodeListenerUpgrades, encodeListenerUpgrades } from './upgrade.js';

const ENFORCED = [
  'rds',
  'route_config',
  'http_filters',
  'access_log',
  'upgrade_configs',
  'tracing',
  'request_id_extension',
];
const IGNORED = [
  // Names and forms of Envoy's statistics; ours are configured elsewhere.
  'stat_prefix',
  'access_log_flush_interval',
  'flush_access_log_on_new_request',
  'access_log_options',
];

const inboundFields = onlyFields(() => hcm.HttpConnectionManagerSchema, {
  enforced: [...ENFORCED, ...PROCESSING_FIELDS, ...INBOUND_LIMIT_FIELDS, ...CLIENT_CERT_FIELDS],
  ignored: IGNORED,
});

/** The requests of this process are nobody's but its own: nothing is to be made of where they came from. */
const outboundFields = onlyFields(() => hcm.HttpConnectionManagerSchema, {
  enforced: [...ENFORCED, ...LIMIT_FIELDS],
  ignored: IGNORED,
});

const rdsFields = onlyFields(() => hcm.RdsSchema, { enforced: ['config_source', 'route_config_name'] });

const filterFields = onlyFields(() => hcm.HttpFilterSchema, {
  enforced: ['name', 'typed_config', 'config_discovery', 'is_optional', 'disabled'],
});

/** The HTTP part of a listener or filter chain. */
export function decodeConnectionManager(
  message: hcm.HttpConnectionManager,
  path: Path,
  side: 'outbound' | 'inbound',
): HttpConnectionManager {
  const checkFields = side === 'outbound' ? outboundFields : inboundFields;
  checkFields(message, path);
  return {
    routes: decodeRoutes(message.routeSpecifier, path),
    filters: decodeFilters(message.httpFilters, path, side),
    accessLogs: decodeAccessLogs(message.accessLog, path),
    upgrades: decodeListenerUpgrades(message.upgradeConfigs, path),
    tracing: decodeTracing(message.tracing, at(path, 'tracing')),
    requestIds: decodeRequestIds(message.requestIdExtension, at(path, 'request_id_extension')),
    ...(side === 'inbound' && {
      ...decodeProcessing(message, path),
      clientCert: decodeClientCert(message, path),
    }),
    ...(side === 'outbound' ? decodeStreamLimits(message, path) : decodeInboundLimits(message, path)),
  };
}

function decodeRoutes(
  specifier: hcm.HttpConnectionManager['routeSpecifier'],
  path: Path,
): HttpConnectionManager['routes'] {
  switch (specifier.case) {
    case 'rds':
      return { kind: 'rds', name: decodeRds(specifier.value, at(path, 'rds')) };
    case 'routeConfig':
      return { kind: 'inline', config: decodeInline(specifier.value, at(path, 'route_config')) };
    default:
      return refuse(path, 'needs rds or route_config');
  }
}

function decodeInline(message: route.RouteConfiguration, path: Path): RouteConfiguration {
  // Envoy: only tables that come by RDS get further virtual hosts.
  if (message.vhds !== undefined) refuse(at(path, 'vhds'), 'is not for inline routes');
  return decodeRouteConfiguration(message, path);
}

function decodeRds(rds: hcm.Rds, path: Path): string {
  rdsFields(rds, path);
  checkConfigSource(rds.configSource, at(path, 'config_source'));
  return rds.routeConfigName === ''
    ? refuse(at(path, 'route_config_name'), 'must not be empty')
    : rds.routeConfigName;
}

function decodeFilters(
  messages: readonly hcm.HttpFilter[],
  path: Path,
  direction: FilterDirection,
): readonly HttpFilter[] {
  const names = new Set<string>();
  const filters: HttpFilter[] = [];
  messages.forEach((message, index) => {
    const filterPath = at(path, 'http_filters', index);
    // gRFC A39: names are unique, because per-route configuration refers to a filter by its name.
    if (names.has(message.name)) refuse(at(filterPath, 'name'), 'is used by two filters');
    names.add(message.name);
    const filter = decodeHttpFilter(message, filterPath, direction);
    if (filter === undefined) return;
    if (filters.at(-1)?.config.kind === 'router') refuse(filterPath, 'nothing may follow the router');
    filters.push(filter);
  });
  if (filters.at(-1)?.config.kind !== 'router')
    refuse(at(path, 'http_filters'), 'the last filter must be the router');
  return filters;
}

function decodeHttpFilter(
  message: hcm.HttpFilter,
  path: Path,
  direction: FilterDirection,
): HttpFilter | undefined {
  filterFields(message, path);
  const { name, configType, isOptional } = message;
  if (name === '') refuse(at(path, 'name'), 'must not be empty');
  if (configType.case === 'configDiscovery') {
    const entry = { name, isOptional, direction };
    const discovered = decodeDiscovery(configType.value, entry, at(path, 'config_discovery'));
    return { name, ...discovered, disabled: message.disabled || undefined };
  }
  if (configType.case !== 'typedConfig') return refuse(at(path, 'typed_config'), 'is required');
  const entry = { name, isOptional, direction };
  const config = decodeFilter(configType.value, entry, at(path, 'typed_config'));
  // Envoy: the filter that ends the chain can't be left out.
  if (message.disabled && config?.kind === 'router') refuse(at(path, 'disabled'), 'is not for the router');
  return config && { name, config, disabled: message.disabled || undefined };
}

/** The HTTP part of a listener or filter chain as a message. */
export function encodeConnectionManager(manager: HttpConnectionManager): hcm.HttpConnectionManager {
  const { routes, filters, accessLogs, upgrades } = manager;
  const message = create(hcm.HttpConnectionManagerSchema, {
    // Envoy demands one.
    statPrefix: 'http',
    routeSpecifier:
      routes.kind === 'rds'
        ? {
            case: 'rds',
            value: create(hcm.RdsSchema, { configSource: adsSource(), routeConfigName: routes.name }),
          }
        : { case: 'routeConfig', value: encodeRouteConfiguration(routes.config) },
    httpFilters: filters.map(encodeHttpFilter),
    accessLog: encodeAccessLogs(accessLogs),
    upgradeConfigs: encodeListenerUpgrades(upgrades),
  });
  if (manager.tracing !== undefined) message.tracing = encodeTracing(manager.tracing);
  if (manager.requestIds !== undefined) message.requestIdExtension = encodeRequestIds(manager.requestIds);
  encodeProcessing(manager, message);
  if (manager.clientCert !== undefined) encodeClientCert(manager.clientCert, message);
  encodeStreamLimits(manager, message);
  encodeInboundLimits(manager, message);
  return message;
}

function encodeHttpFilter({ name, config, discovery, disabled = false }: HttpFilter): hcm.HttpFilter {
  return create(hcm.HttpFilterSchema, {
    name,
    disabled,
    configType:
      discovery === undefined
        ? { case: 'typedConfig', value: encodeFilter(config) }
        : { case: 'configDiscovery', value: encodeDiscovery({ config, discovery }) },
  });
}
