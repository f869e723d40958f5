import { RUNTIME } from '../../codec/runtime.js';
import type { Runtime, RuntimeLayerSource, RuntimeValue } from '../../model/runtime.js';
import type { ResourceStatus } from '../../xds/store.js';

/** Envoy's `/runtime`: the layers, and for each key its value in each of them and the one that counts. */
export function runtimePage(
  layers: readonly RuntimeLayerSource[],
  resources: Iterable<ResourceStatus>,
  inForce: Runtime,
): unknown {
  const served = new Map<string, Runtime>();
  for (const { typeUrl, name, bytes } of resources) {
    if (typeUrl === RUNTIME.typeUrl && bytes !== undefined)
      served.set(name, RUNTIME.decode(bytes).resource.values);
  }
  const values = layers.map((layer) => (layer.kind === 'static' ? layer.values : served.get(layer.name)));
  return {
    layers: layers.map((layer) => (layer.kind === 'static' ? 'static_layer' : layer.name)),
    entries: Object.fromEntries(
      [...inForce].map(([key, value]) => [
        key,
        { layer_values: values.map((one) => textOf(one?.get(key))), final_value: textOf(value) },
      ]),
    ),
  };
}

function textOf(value: RuntimeValue | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'object' ? `${value.numerator}/${value.denominator}` : String(value);
}
