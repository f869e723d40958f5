import { flatten, type RuntimeLayer } from '../model/runtime.js';
import { isEqual } from '../runtime/equal.js';
import { MeshError } from '../runtime/errors.js';

/** Layers by name, each an object of values whose nested keys are joined by dots, as Envoy reads them. */
export type RuntimeLayers = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** The layers of the runtime that clients may ask for (RTDS). */
export class ServedRuntime {
  #layers: ReadonlyMap<string, RuntimeLayer>;

  /** @throws MeshError `INMESH_OPTION_INVALID` for a value that is none. */
  constructor(layers: RuntimeLayers = {}) {
    this.#layers = readLayers(layers);
  }

  get layers(): ReadonlyMap<string, RuntimeLayer> {
    return this.#layers;
  }

  /**
   * Replaces all layers. Layers that stay equal stay the same objects.
   * @throws MeshError `INMESH_OPTION_INVALID`; then nothing changes.
   */
  set(layers: RuntimeLayers): void {
    const before = this.#layers;
    this.#layers = new Map(
      [...readLayers(layers)].map(([name, layer]) => {
        const same = before.get(name);
        return [name, same !== undefined && isEqual(same, layer) ? same : layer];
      }),
    );
  }
}

function readLayers(layers: RuntimeLayers): ReadonlyMap<string, RuntimeLayer> {
  return new Map(
    Object.entries(layers).map(([name, layer]) => {
      const values = flatten(layer, (key) => {
        const what = `runtime layer ${JSON.stringify(name)}: ${key} is no value of a runtime`;
        throw new MeshError('INMESH_OPTION_INVALID', what, {
          hint: 'Use numbers, true or false, text, or { numerator, denominator }',
        });
      });
      return [name, { name, values }];
    }),
  );
}
