import type {
  CustomFilterConfig,
  CustomFilterSource,
  CustomFilterType,
  FilterDirection,
  ParsedFilter,
} from '../model/custom-filter.js';
import type { Clock } from '../runtime/clock.js';
import { MeshError } from '../runtime/errors.js';
import type { Random } from '../runtime/random.js';
import type { Filter, Service } from '../service/service.js';
import type { LocalNode } from './filter.js';
import type { FilterCounter } from './filter-memory.js';

/** Where a filter used in code stands: outermost, next to the router, or beside a filter of that instance name. */
export type FilterPlace = 'first' | 'last' | { readonly before: string } | { readonly after: string };

/** How a filter is used in code, besides its configuration. */
export interface FilterPlacing {
  /**
   * Default `first`. Beside a filter that the configuration does not have (any more), it is `first` too: nothing that it
   * guards is left open.
   */
  readonly place?: FilterPlace | undefined;
  /** Default: every direction that the filter is defined for. */
  readonly directions?: readonly FilterDirection[] | undefined;
  /** Instance name, to which `typed_per_filter_config` refers. Default: the name of the definition. */
  readonly name?: string | undefined;
}

/** What a filter may use besides its own configuration. */
export interface FilterContext {
  readonly direction: FilterDirection;
  /** The cluster that the route leads to, when that is known; always undefined inbound. */
  readonly clusterName: string | undefined;
  /** Who this process is towards the mesh (Envoy `node`). */
  readonly node: LocalNode;
  /** For times and timers, so that tests can turn the clock. */
  readonly clock: Clock;
  /** For what is left to chance, so that tests can repeat it. */
  readonly random: Random;
  /**
   * A figure of this filter on the metrics page: `inmesh_filter_<name>{inmesh_filter="<filter>"}`. Take it when the filter
   * is created, and count by `counter.value++`.
   */
  counter(name: string): FilterCounter;
  /**
   * What lives as long as the configuration (caches, buckets): made once, and shared by the stacks of all routes with the
   * same configuration.
   */
  shared<T>(make: () => T): T;
  /**
   * One attempt at a cluster, for filters that ask a service; undefined when there is no such cluster. Look it up per call,
   * and name the cluster in `clusters` of the definition, so that it is subscribed to.
   */
  upstream(clusterName: string): Service | undefined;
}

/** How the configuration of a filter is read. */
export interface FilterParsing<C> {
  /**
   * Checks the configuration that xDS brings and makes of it what the filter works with. It is JSON (`TypedStruct`,
   * `Struct`), or what `decode` made. What it throws is the reason of the refusal (NACK).
   */
  readonly parse: (value: unknown) => C;
  /** Reads a message of the filter's own type; without it, only JSON is taken. */
  readonly decode?: ((bytes: Uint8Array) => unknown) | undefined;
}

/** A filter's configuration at routes, where it is not the same as in the list of filters. */
export interface RouteParsing<C, R> extends FilterParsing<R> {
  /** The configuration in force at a route. */
  readonly apply: (base: C, route: R) => C;
}

/** What every definition says. */
export interface FilterBasics<C> {
  /** E.g. `acme.filters.ApiKey`. */
  readonly name: string;
  /** Type of its configuration in xDS (with or without `type.googleapis.com/`). Default: the name. */
  readonly typeUrl?: string | undefined;
  /** Default both. xDS that configures it on another side is refused. */
  readonly directions?: readonly FilterDirection[] | undefined;
  /** The clusters that the filter asks by `upstream`. */
  readonly clusters?: ((config: C) => readonly string[]) | undefined;
  /**
   * Makes the filter of one configuration, once per route and cluster when configuration arrives: what can be prepared is
   * prepared here. Undefined when the configuration does nothing.
   */
  readonly create: (config: C, context: FilterContext) => Filter | undefined;
}

/** A filter with configuration. Without `route`, the configuration of a route replaces that of the filter. */
export interface FilterDefinition<C, R = C> extends FilterBasics<C>, FilterParsing<C> {
  readonly route?: RouteParsing<C, R> | undefined;
}

/** A filter of the application. Give it to `createMesh`: in `filterTypes` for xDS to configure, or used in `filters`. */
export interface DefinedFilter<C = unknown> {
  readonly name: string;
  /** The filter with a configuration from code; for `filters` of `createMesh`. */
  use(config: C, placing?: FilterPlacing): FilterUse;
}

/** A defined filter with its configuration and place. */
export interface FilterUse {
  readonly filter: DefinedFilter;
  readonly placing: FilterPlacing;
}

/**
 * Defines a filter: a function `(request, next) => response` for the HTTP filter chain, outbound and inbound, which xDS
 * (`http_filters`, `typed_per_filter_config`) or code configures.
 * @throws MeshError `INMESH_OPTION_INVALID` for a name or type that can't be one.
 */
export function defineFilter<C, R = C>(definition: FilterDefinition<C, R>): DefinedFilter<C>;
export function defineFilter(definition: FilterBasics<undefined>): DefinedFilter<undefined>;
export function defineFilter(definition: FilterBasics<never> & { readonly parse?: unknown }): DefinedFilter {
  const { parse = noConfiguration } = definition;
  // The overloads say what it is; and a definition is only ever given what it parsed, or what was given to its `use`.
  return new Definition({ ...definition, parse } as FilterDefinition<unknown>);
}

function noConfiguration(value: unknown): undefined {
  if (typeof value === 'object' && value !== null && Object.keys(value).length === 0) return undefined;
  throw new TypeError('it takes no configuration');
}

/** A definition as the mesh works with it. */
export class Definition implements DefinedFilter, CustomFilterType {
  readonly name: string;
  /** Full name of the message that configures it. */
  readonly typeName: string;
  readonly #definition: FilterDefinition<unknown>;
  readonly #directions: ReadonlySet<FilterDirection>;

  constructor(definition: FilterDefinition<unknown>) {
    const { name, typeUrl = name, directions = ['outbound', 'inbound'] } = definition;
    this.name = identifier(name);
    this.typeName = identifier(typeUrl.slice(typeUrl.lastIndexOf('/') + 1));
    this.#definition = definition;
    this.#directions = new Set(directions);
  }

  use(config: unknown, placing: FilterPlacing = {}): FilterUse {
    for (const direction of placing.directions ?? []) {
      if (!this.runs(direction)) invalid(`the filter ${this.name} is not for ${direction} requests`);
    }
    if (placing.name !== undefined) identifier(placing.name);
    return new Use(this, config, placing);
  }

  runs(direction: FilterDirection): boolean {
    return this.#directions.has(direction);
  }

  parse(source: CustomFilterSource, level: 'filter' | 'route'): ParsedFilter {
    const { route } = this.#definition;
    if (level === 'filter' || route === undefined) {
      const value = read(source, this.#definition);
      return { value, clusters: this.clustersOf(value) };
    }
    // Which clusters a route adds is known only together with what it is applied to: `apply` may not name new ones.
    return { value: read(source, route), clusters: [] };
  }

  clustersOf(config: unknown): readonly string[] {
    return this.#definition.clusters?.(config) ?? [];
  }

  /** `layers` are the configurations of the filter at routes, most specific first. */
  create(
    base: CustomFilterConfig,
    [nearest]: readonly CustomFilterConfig[],
    context: FilterContext,
  ): Filter | undefined {
    const { route, create } = this.#definition;
    if (nearest === undefined) return create(base.value, context);
    return create(route === undefined ? nearest.value : route.apply(base.value, nearest.value), context);
  }
}

/** A use as the mesh works with it. */
export class Use implements FilterUse {
  readonly filter: Definition;
  readonly placing: FilterPlacing;
  readonly instance: string;
  readonly config: CustomFilterConfig;

  constructor(filter: Definition, config: unknown, placing: FilterPlacing) {
    this.filter = filter;
    this.placing = placing;
    this.instance = placing.name ?? filter.name;
    this.config = {
      kind: 'custom',
      type: filter.name,
      source: { kind: 'json', typeUrl: `type.googleapis.com/${filter.typeName}`, json: {} },
      value: config,
      clusters: filter.clustersOf(config),
    };
  }

  runs(direction: FilterDirection): boolean {
    return this.filter.runs(direction) && this.placing.directions?.includes(direction) !== false;
  }
}

function read<T>(source: CustomFilterSource, { parse, decode }: FilterParsing<T>): T {
  if (source.kind === 'json') return parse(source.json);
  if (decode === undefined) throw new TypeError('its configuration is taken as JSON (a TypedStruct) only');
  return parse(decode(source.bytes));
}

function identifier(text: string): string {
  if (/^[\w.-]+$/.test(text)) return text;
  return invalid(`${JSON.stringify(text)} is no name of a filter: letters, digits, "_", "-" and "." are`);
}

function invalid(problem: string): never {
  throw new MeshError('INMESH_OPTION_INVALID', problem);
}
