import type { MetadataPath, RateLimit, RateLimitHits } from '../model/rate-limit.js';
import { dig } from '../service/dig.js';
import { compileFormat } from '../service/format/format.js';
import { formatToolsOf, inputOf } from '../service/format/tools.js';
import type { ResponseHead } from '../service/head-change.js';
import type { Request } from '../service/service.js';
import { compileRateLimitAction, type DescriptorEntry, type DescriptorTools } from './rate-limit-actions.js';

/** By what a request is counted: entries in order, and how often. */
export interface RateLimitDescriptor {
  readonly entries: readonly DescriptorEntry[];
  /** Replaces the limit that the service has for it. */
  readonly limit: { readonly requestsPerUnit: number; readonly unit: RateLimitUnit } | undefined;
  /** Undefined counts 1. */
  readonly hits: number | undefined;
  /** Whether the hits are given back. */
  readonly isRefund: boolean;
  /** Whether the caller hears about this limit; undefined leaves it to the filter. */
  readonly rateLimitHeaders: boolean | undefined;
}

const UNITS = ['SECOND', 'MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR', 'UNKNOWN'] as const;

/** Envoy RateLimitUnit. */
export type RateLimitUnit = (typeof UNITS)[number];

/** Makes the descriptors of a request, in configured order. The response is there when the exchange is over. */
export type DescriptorSource = (request: Request, response?: ResponseHead) => readonly RateLimitDescriptor[];

/** Compiles rate limits; undefined when there are none. */
export function compileRateLimits(
  limits: readonly RateLimit[],
  tools: DescriptorTools,
): DescriptorSource | undefined {
  if (limits.length === 0) return undefined;
  const makers = limits.map((limit) => compileRateLimit(limit, tools));
  return (request, response) => {
    const descriptors: RateLimitDescriptor[] = [];
    for (const make of makers) {
      const descriptor = make(request, response);
      if (descriptor !== undefined) descriptors.push(descriptor);
    }
    return descriptors;
  };
}

type Maker = (request: Request, response: ResponseHead | undefined) => RateLimitDescriptor | undefined;

function compileRateLimit(limit: RateLimit, tools: DescriptorTools): Maker {
  const actions = limit.actions.map((action) => compileRateLimitAction(action, tools));
  const hits = limit.hits === undefined ? () => undefined : compileHits(limit.hits, tools);
  const { limit: override, rateLimitHeaders, hits: { isRefund = false } = {} } = limit;
  return (request, response) => {
    const entries: DescriptorEntry[] = [];
    for (const action of actions) {
      // Envoy: one action without a value drops the whole descriptor, unless it may be skipped.
      const entry = action(request);
      if (entry === undefined) return undefined;
      if (entry !== 'skip') entries.push(entry);
    }
    const count = hits(request, response);
    if (count === 'invalid') return undefined;
    return {
      entries,
      limit: override && limitIn(request, override),
      hits: count,
      isRefund,
      rateLimitHeaders,
    };
  };
}

type Hits = (request: Request, response: ResponseHead | undefined) => number | 'invalid' | undefined;

const MAX_HITS = 1_000_000_000;

function compileHits({ count }: RateLimitHits, { clock }: DescriptorTools): Hits {
  if (typeof count === 'number') return () => count;
  const format = compileFormat(count, formatToolsOf(clock));
  return (request, response) => {
    const value = format.typed(inputOf(request, response));
    // Envoy: a value that is no number, or out of range, drops the descriptor.
    const hits = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    return typeof hits === 'number' && hits >= 0 && hits <= MAX_HITS ? Math.floor(hits) : 'invalid';
  };
}

/** Envoy: a limit that is not there or not well-formed leaves the descriptor without. */
function limitIn({ context }: Request, { namespace, keys }: MetadataPath): RateLimitDescriptor['limit'] {
  const found = dig(context.dynamicMetadata?.get(namespace), keys);
  const requestsPerUnit = dig(found, ['requests_per_unit']);
  const name = dig(found, ['unit']);
  const unit = UNITS.find((one) => one === name);
  if (typeof requestsPerUnit !== 'number' || unit === undefined) return undefined;
  return { requestsPerUnit: requestsPerUnit >>> 0, unit };
}
