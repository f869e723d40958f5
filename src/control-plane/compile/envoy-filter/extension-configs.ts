import { toBinary } from '@bufbuild/protobuf';
import { FILTER_EXTENSION } from '../../../codec/filter-extension.js';
import { core } from '../../../proto/xds.js';
import { messageOf } from '../../../runtime/errors.js';
import type { WireResource } from '../../resources/resource-set.js';
import { cloned } from './message-value.js';
import type { Patch } from './patches.js';

/**
 * The configurations of filters that EnvoyFilters bring, for filters that name them by `config_discovery` (ECDS). Of one
 * name the first counts. What our SDK can't carry out its members do not receive.
 */
export function extensionConfigs(
  patches: readonly Patch[],
  { isOurs, onRefused }: { readonly isOurs: boolean; readonly onRefused: (reason: string) => void },
): ReadonlyMap<string, WireResource> | undefined {
  const found = new Map<string, WireResource>();
  for (const { applyTo, value, id } of patches) {
    if (applyTo !== 'EXTENSION_CONFIG') continue;
    const message = cloned(core.TypedExtensionConfigSchema, value);
    if (message === undefined || found.has(message.name)) continue;
    const one = { name: message.name, bytes: toBinary(core.TypedExtensionConfigSchema, message) };
    const fault = isOurs ? faultOf(one.bytes) : undefined;
    if (fault === undefined) found.set(one.name, one);
    else onRefused(`the EnvoyFilter ${id} brings members no ECDS ${one.name}: ${fault}`);
  }
  return found.size === 0 ? undefined : found;
}

function faultOf(bytes: Uint8Array): string | undefined {
  try {
    FILTER_EXTENSION.decode(bytes);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
