import type { CustomFilterConfig, CustomFilterType, FilterDirection } from '../model/custom-filter.js';
import type { HttpFilter } from '../model/filter-config.js';
import { MeshError } from '../runtime/errors.js';
import type { Filter } from '../service/service.js';
import { type DefinedFilter, Definition, type FilterContext, type FilterUse, Use } from './define-filter.js';
import type { CustomFilters, FilterTools, OwnConfig } from './filter.js';

/**
 * The table of an application's filters. What is used in code is known to xDS, too, so that routes may configure it.
 * @throws MeshError `INMESH_OPTION_INVALID` for two filters of one name.
 */
export function customFilters(types: readonly DefinedFilter[], uses: readonly FilterUse[]): CustomFilters {
  if (types.length + uses.length === 0) return NO_CUSTOM_FILTERS;
  return new Table(types.map(definitionOf), uses.map(useOf));
}

/** Without any. */
export const NO_CUSTOM_FILTERS: CustomFilters = {
  clusters: [],
  find: () => undefined,
  arrange: (listed) => listed,
  create: () => undefined,
};

class Table implements CustomFilters {
  readonly clusters: readonly string[];
  readonly #byName = new Map<string, Definition>();
  readonly #uses: readonly Use[];

  constructor(types: readonly Definition[], uses: readonly Use[]) {
    this.#uses = uses;
    this.clusters = uses.flatMap(({ config }) => config.clusters);
    const instances = new Set<string>();
    for (const { instance } of uses) {
      if (instances.has(instance)) twice(instance);
      instances.add(instance);
    }
    for (const type of new Set([...types, ...uses.map(({ filter }) => filter)])) {
      for (const name of new Set([type.name, type.typeName])) {
        if (this.#byName.has(name)) twice(name);
        this.#byName.set(name, type);
      }
    }
    for (const { instance, filter } of uses) {
      // An anonymous configuration at a route finds the filter by the name of its instance.
      if (!this.#byName.has(instance)) this.#byName.set(instance, filter);
    }
  }

  find(name: string): CustomFilterType | undefined {
    return this.#byName.get(name);
  }

  arrange(listed: readonly HttpFilter[], direction: FilterDirection): readonly HttpFilter[] {
    const names = new Set(listed.map(({ name }) => name));
    // A filter of that name in the configuration stands for the one in code.
    const uses = this.#uses.filter((use) => use.runs(direction) && !names.has(use.instance));
    if (uses.length === 0) return listed;
    const arranged = [...listed];
    const first: HttpFilter[] = [];
    const added = new Set<HttpFilter>();
    for (const { placing, instance, config } of uses) {
      const filter: HttpFilter = { name: instance, config };
      const index = indexOf(arranged, placing.place ?? 'first');
      if (index === undefined) first.push(filter);
      else arranged.splice(passOver(arranged, index, added), 0, filter);
      added.add(filter);
    }
    return [...first, ...arranged];
  }

  create(base: CustomFilterConfig, { layers }: OwnConfig, tools: FilterTools): Filter | undefined {
    const definition = this.#byName.get(base.type);
    if (definition === undefined) return undefined;
    const own = layers.filter((layer) => layer.kind === 'custom').filter(({ type }) => type === base.type);
    return definition.create(base, own, contextOf(base.type, own[0] ?? base, tools));
  }
}

/** Where in the list; undefined = before all others. */
function indexOf(listed: readonly HttpFilter[], place: NonNullable<FilterUse['placing']['place']>) {
  if (place === 'first') return undefined;
  if (place === 'last') {
    const router = listed.findIndex(({ config }) => config.kind === 'router');
    return router < 0 ? listed.length : router;
  }
  const wanted = 'before' in place ? place.before : place.after;
  const index = listed.findIndex(({ name }) => name === wanted);
  if (index < 0) return undefined;
  return 'before' in place ? index : index + 1;
}

/** Those that were added at the same place stay in their order. */
function passOver(listed: readonly HttpFilter[], index: number, added: ReadonlySet<HttpFilter>): number {
  let at = index;
  for (let one = listed[at]; one !== undefined && added.has(one); one = listed[at]) at++;
  return at;
}

function contextOf(type: string, config: CustomFilterConfig, tools: FilterTools): FilterContext {
  const { direction, clusterName, node, clock, random, memory, upstream } = tools;
  return {
    direction,
    clusterName,
    node,
    clock,
    random,
    upstream,
    counter: (name) => memory.counter(`${CUSTOM_COUNTERS}${type}/${name}`),
    shared: (make) => memory.of(config, make),
  };
}

/** How the names of these filters' figures begin; then comes the filter's, and after a slash the figure's. */
export const CUSTOM_COUNTERS = 'custom:';

function definitionOf(given: DefinedFilter): Definition {
  if (given instanceof Definition) return given;
  throw new MeshError('INMESH_OPTION_INVALID', 'what is in filterTypes must be made by defineFilter');
}

function useOf(given: FilterUse): Use {
  if (given instanceof Use) return given;
  throw new MeshError('INMESH_OPTION_INVALID', 'what is in filters must be a function or made by use()');
}

function twice(name: string): never {
  throw new MeshError('INMESH_OPTION_INVALID', `two filters are named ${JSON.stringify(name)}`);
}
