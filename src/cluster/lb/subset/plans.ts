import type { SubsetPolicy, SubsetSelector } from '../../../model/lb-policy.js';
import type { MetadataStruct } from '../../../model/metadata.js';
import { type Criteria, criteriaOf, onlyKeys, selectorKey, subsetKey } from './criteria.js';
import type { Subset } from './subset.js';

/** Envoy: the key of a request's criteria that holds alternatives. */
const FALLBACK_LIST = 'fallback_list';

/** A subset to pick from, and what the pick counts as. */
export interface Step {
  readonly subset: Subset;
  readonly counts: 'selected' | 'fallback' | 'fallbackPanic' | undefined;
}

/** The subsets that a request may be served from: the first that has a host for it does. */
export type Plan = readonly Step[];

/** What plans are made of. */
export interface Plannable {
  readonly policy: SubsetPolicy;
  readonly subsets: ReadonlyMap<string, Subset>;
  /** All hosts, and those of the default subset. */
  readonly any: Subset;
  readonly byDefault: Subset;
}

/** Envoy's order of subsets for requests. Selectors are found by their keys. */
export class Planner {
  readonly #parts: Plannable;
  readonly #selectors: readonly SubsetSelector[];
  readonly #byKeys = new Map<string, SubsetSelector>();

  constructor(parts: Plannable) {
    this.#parts = parts;
    const { selectors, allowRedundantKeys } = parts.policy;
    // Envoy: of several that fit, the one with the most keys counts, then the first.
    this.#selectors = allowRedundantKeys
      ? [...selectors].sort((a, b) => b.keys.length - a.keys.length)
      : selectors;
    for (const selector of this.#selectors) {
      const key = selectorKey(selector.keys);
      if (!this.#byKeys.has(key)) this.#byKeys.set(key, selector);
    }
  }

  plan(asked: MetadataStruct | undefined): Plan {
    if (asked === undefined) return this.#fallback();
    const alternatives = this.#parts.policy.fallbackList ? asked[FALLBACK_LIST] : undefined;
    if (alternatives === undefined) return this.#planFor(criteriaOf(asked));
    if (!Array.isArray(alternatives) || alternatives.length === 0) {
      return this.#planFor(criteriaOf(asked, FALLBACK_LIST));
    }
    const { [FALLBACK_LIST]: _, ...rest } = asked;
    return alternatives.flatMap((one) =>
      this.#planFor(criteriaOf({ ...rest, ...(isStruct(one) ? one : {}) })),
    );
  }

  #planFor(all: Criteria): Plan {
    const { policy, subsets, any, byDefault } = this.#parts;
    const criteria = policy.allowRedundantKeys ? this.#reduced(all) : all;
    const subset = subsets.get(subsetKey(criteria.pairs));
    // Envoy: a subset that exists decides, even when none of its hosts serves.
    if (subset !== undefined) return [{ subset, counts: 'selected' }];
    const selector = this.#byKeys.get(selectorKey(criteria.keys));
    switch (selector?.fallback) {
      case undefined:
        return this.#fallback();
      case 'none':
        return [];
      case 'any-endpoint':
        return [{ subset: any, counts: undefined }];
      case 'default-subset':
        return [{ subset: byDefault, counts: undefined }];
      case 'keys-subset':
        return this.#planFor(onlyKeys(criteria, selector.fallbackKeys));
    }
  }

  /** The criteria of the longest selector whose keys are all there. */
  #reduced(criteria: Criteria): Criteria {
    const fits = this.#selectors.find(({ keys }) => keys.every((key) => criteria.keys.includes(key)));
    return fits === undefined ? criteria : onlyKeys(criteria, fits.keys);
  }

  #fallback(): Plan {
    const { policy, any, byDefault } = this.#parts;
    // Envoy: panic is a matter of the fallback; without one nobody serves.
    if (policy.fallback === 'none') return [];
    const subset = policy.fallback === 'any-endpoint' ? any : byDefault;
    const own: Step = { subset, counts: 'fallback' };
    return policy.panicModeAny ? [own, { subset: any, counts: 'fallbackPanic' }] : [own];
  }
}

function isStruct(value: unknown): value is MetadataStruct {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
