import { create, toBinary } from '@bufbuild/protobuf';
import type { FilterConfig, HttpFilter } from '../model/filter-config.js';
import type { FilterExtension } from '../model/filter-extension.js';
import { typeNameOf } from '../proto/any.js';
import { core } from '../proto/xds.js';
import { decodeMessage, defineResourceType, type ResourceType } from './codec.js';
import { adsSource, checkConfigSource } from './config-source.js';
import { onlyFields } from './field-guard.js';
import { decodeFilter, encodeFilter, type FilterEntry, filterTypeUrl } from './filter-config.js';
import { at, type Path, refuse, required } from './path.js';

const sourceFields = onlyFields(() => core.ExtensionConfigSourceSchema, {
  enforced: ['config_source', 'default_config', 'apply_default_config_without_warming', 'type_urls'],
});

const extensionFields = onlyFields(() => core.TypedExtensionConfigSchema, {
  enforced: ['name', 'typed_config'],
});

/** `config_discovery` of a filter: its default, or nothing, until the resource is there. */
export function decodeDiscovery(
  source: core.ExtensionConfigSource,
  entry: FilterEntry,
  path: Path,
): Pick<HttpFilter, 'config' | 'discovery'> {
  sourceFields(source, path);
  checkConfigSource(source.configSource, at(path, 'config_source'));
  const types = source.typeUrls.map(typeNameOf);
  if (types.length === 0) refuse(at(path, 'type_urls'), 'is required');
  const { defaultConfig, applyDefaultConfigWithoutWarming: appliesDefault } = source;
  const defaultPath = at(path, 'default_config');
  if (appliesDefault && defaultConfig === undefined) refuse(defaultPath, 'is required to be applied');
  const config = defaultConfig && decodeFilter(defaultConfig, entry, defaultPath);
  if (config?.kind === 'router') refuse(defaultPath, 'must not be the router');
  if (defaultConfig !== undefined && !types.includes(typeNameOf(filterTypeUrl(defaultConfig, defaultPath))))
    refuse(defaultPath, 'is of a type that type_urls do not name');
  return { config: config ?? { kind: 'missing-config' }, discovery: { types, appliesDefault } };
}

/** As a message. */
export function encodeDiscovery({
  config,
  discovery,
}: Required<Pick<HttpFilter, 'config' | 'discovery'>>): core.ExtensionConfigSource {
  const message = create(core.ExtensionConfigSourceSchema, {
    configSource: adsSource(),
    applyDefaultConfigWithoutWarming: discovery?.appliesDefault ?? false,
    typeUrls: (discovery?.types ?? []).map((type) => `type.googleapis.com/${type}`),
  });
  if (config.kind !== 'missing-config') message.defaultConfig = encodeFilter(config);
  return message;
}

function decodeExtension(message: core.TypedExtensionConfig, path: Path): FilterExtension {
  extensionFields(message, path);
  const { name } = message;
  const configPath = at(path, 'typed_config');
  const any = required(message.typedConfig, configPath);
  const type = typeNameOf(filterTypeUrl(any, configPath));
  const attempt = (direction: 'outbound' | 'inbound'): FilterConfig | undefined => {
    try {
      return decodeFilter(any, { name, isOptional: false, direction }, configPath);
    } catch (error) {
      // One side will do; what is wrong with both is told.
      if (direction === 'inbound') throw error;
      return undefined;
    }
  };
  const outbound = attempt('outbound');
  const config = outbound ?? attempt('inbound');
  if (config === undefined || config.kind === 'router') return refuse(configPath, 'must not be the router');
  if (outbound === undefined) return { name, type, config, directions: ['inbound'] };
  return { name, type, config, directions: isForInbound(any, name, configPath) ? BOTH : ['outbound'] };
}

const BOTH = ['outbound', 'inbound'] as const;

function isForInbound(any: Parameters<typeof decodeFilter>[0], name: string, path: Path): boolean {
  try {
    // Optional: a filter that is not for the side is none, anything else was found right before.
    return decodeFilter(any, { name, isOptional: true, direction: 'inbound' }, path) !== undefined;
  } catch {
    return false;
  }
}

/** ECDS. */
export const FILTER_EXTENSION: ResourceType<FilterExtension> = defineResourceType({
  typeUrl: 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig',
  short: 'ECDS',
  complete: false,
  parse: (bytes, path) => decodeMessage(core.TypedExtensionConfigSchema, bytes, path),
  nameOf: ({ name }) => name,
  decode: decodeExtension,
  encode: ({ name, config }) =>
    toBinary(
      core.TypedExtensionConfigSchema,
      create(core.TypedExtensionConfigSchema, { name, typedConfig: encodeFilter(config) }),
    ),
});
