import { create, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { flatten, type RuntimeLayer, type RuntimeValue } from '../model/runtime.js';
import { runtimeService } from '../proto/xds.js';
import { decodeMessage, defineResourceType, type ResourceType } from './codec.js';
import { onlyFields } from './field-guard.js';
import { atKey, refuse } from './path.js';

const layerFields = onlyFields(() => runtimeService.RuntimeSchema, { enforced: ['name', 'layer'] });

/** RTDS. */
export const RUNTIME: ResourceType<RuntimeLayer> = defineResourceType({
  typeUrl: 'type.googleapis.com/envoy.service.runtime.v3.Runtime',
  short: 'RTDS',
  complete: false,
  isRemovable: true,
  parse: (bytes, path) => decodeMessage(runtimeService.RuntimeSchema, bytes, path),
  nameOf: ({ name }) => name,
  decode: (message, path) => {
    layerFields(message, path);
    const { name, layer = {} } = message;
    return {
      name,
      values: flatten(layer, (key) => refuse(atKey(path, 'layer', key), 'is no value of a runtime')),
    };
  },
  encode: ({ name, values }) =>
    toBinary(
      runtimeService.RuntimeSchema,
      create(runtimeService.RuntimeSchema, { name, layer: layerOf(values) }),
    ),
});

const UNITS = { 100: 'HUNDRED', 10000: 'TEN_THOUSAND', 1000000: 'MILLION' } as const;

function layerOf(values: ReadonlyMap<string, RuntimeValue>): JsonObject {
  return Object.fromEntries(
    [...values].map(([key, value]) => [
      key,
      typeof value === 'object'
        ? { numerator: value.numerator, denominator: UNITS[value.denominator] }
        : value,
    ]),
  );
}
