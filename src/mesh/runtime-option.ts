import { flatten, type RuntimeLayerSource } from '../model/runtime.js';
import { MeshError } from '../runtime/errors.js';
import type { Field } from './bootstrap/field.js';

/** Values that the configuration names by keys (Envoy's runtime). */
export interface RuntimeOptions {
  /** Values of this process, as Envoy's `static_layer` writes them: nested, or with dots in their keys. */
  readonly values?: Readonly<Record<string, unknown>>;
  /** Names of layers that the control plane serves (RTDS); each goes before those in front of it, and all before `values`. */
  readonly layers?: readonly string[];
}

/** The layers of the runtime: code, then environment, then bootstrap. */
export function resolveRuntime(
  option: RuntimeOptions | undefined,
  env: Readonly<Record<string, string | undefined>>,
  bootstrap: readonly RuntimeLayerSource[] | undefined,
): readonly RuntimeLayerSource[] {
  const names = env['INMESH_RUNTIME_LAYERS']?.split(',').filter((name) => name.trim() !== '');
  const given = option ?? (names && { layers: names });
  if (given === undefined) return bootstrap ?? [];
  const { values, layers = [] } = given;
  const own = values && flatten(values, refuse);
  return [
    ...(own === undefined ? [] : [{ kind: 'static' as const, values: own }]),
    ...layers.map((name) => ({ kind: 'rtds' as const, name: name.trim() })),
  ];
}

/** Envoy `layered_runtime`: static layers and those of RTDS, whose source is this control plane. */
export function readLayeredRuntime(field: Field): readonly RuntimeLayerSource[] | undefined {
  if (field.isAbsent) return undefined;
  return field
    .get('layers')
    .items()
    .map((layer): RuntimeLayerSource => {
      const statics = layer.get('static_layer');
      if (!statics.isAbsent) {
        const values = flatten(statics.json(), (key) => statics.fail(`has no value of a runtime at ${key}`));
        return { kind: 'static', values };
      }
      const rtds = layer.get('rtds_layer');
      if (rtds.isAbsent) return layer.fail('must be a static_layer or an rtds_layer');
      // Envoy: the resource has the name of the layer unless it says another.
      return { kind: 'rtds', name: rtds.get('name').optionalText() ?? layer.get('name').text() };
    });
}

function refuse(key: string): never {
  throw new MeshError('INMESH_OPTION_INVALID', `runtime.values: ${key} is no value of a runtime`, {
    hint: 'A value is a number, a boolean, a string, or { numerator, denominator }',
  });
}
