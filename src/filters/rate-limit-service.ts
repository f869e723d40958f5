import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { GlobalRateLimitConfig } from '../model/global-rate-limit.js';
import { type commonRateLimit, type core, rateLimitService as service, type } from '../proto/xds.js';
import type { Exchange } from '../service/context.js';
import type { Request } from '../service/service.js';
import type { FilterTools } from './filter.js';
import { grpcClient } from './grpc-client.js';
import type { RateLimitDescriptor } from './rate-limit-descriptors.js';

/** A header that the service wants to be added, lower case. */
export type LimitHeader = readonly [name: string, value: string];

/** What the rate limit service said; undefined stands for nothing that could be understood. */
export interface LimitAnswer {
  readonly isOver: boolean;
  /** One per descriptor, in the same order. */
  readonly statuses: readonly service.RateLimitResponse_DescriptorStatus[];
  readonly requestHeaders: readonly LimitHeader[];
  readonly responseHeaders: readonly LimitHeader[];
  /** For the answer to a request that is over the limit. */
  readonly body: Uint8Array;
  readonly metadata: Readonly<Record<string, unknown>> | undefined;
}

/** Asks about a request; it never rejects. Questions that nobody waits for end with their own timeout only. */
export type AskRateLimit = (
  descriptors: readonly RateLimitDescriptor[],
  request: Request,
  isAwaited: boolean,
) => Promise<LimitAnswer | undefined>;

/** The client of a rate limit service (`envoy.service.ratelimit.v3.RateLimitService`). */
export function rateLimitClient(
  config: Pick<GlobalRateLimitConfig, 'service' | 'timeoutMs'>,
  domain: string,
  tools: FilterTools,
): AskRateLimit {
  const method = {
    path: '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit',
    input: service.RateLimitRequestSchema,
    output: service.RateLimitResponseSchema,
    defaultTimeoutMs: config.timeoutMs,
  };
  // Envoy: the filter's timeout holds, not that of the gRPC service.
  const should = grpcClient({ ...config.service, timeoutMs: config.timeoutMs }, method, tools);
  return async (descriptors, request, isAwaited) => {
    const question = create(service.RateLimitRequestSchema, {
      domain,
      hitsAddend: hitsOf(request.context),
      descriptors: descriptors.map(descriptorMessage),
    });
    try {
      return answerOf(await should(question, request, isAwaited));
    } catch {
      return undefined;
    }
  };
}

function descriptorMessage({ entries, limit, hits, isRefund }: RateLimitDescriptor) {
  const message: MessageInitShape<typeof commonRateLimit.RateLimitDescriptorSchema> = {
    entries: entries.map(({ key, value }) => ({ key, value })),
    isNegativeHits: isRefund,
  };
  if (limit !== undefined) {
    message.limit = { requestsPerUnit: limit.requestsPerUnit, unit: type.RateLimitUnit[limit.unit] };
  }
  if (hits !== undefined) message.hitsAddend = BigInt(hits);
  return message;
}

const MAX_HITS = 0xffff_ffff;

/**
 * Hits that a filter left for all descriptors without hits of their own; 0 leaves them at 1. Envoy reads the filter
 * state, and older versions of it the dynamic metadata.
 */
function hitsOf({ filterState, dynamicMetadata }: Exchange): number {
  const found =
    filterState?.get('envoy.ratelimit.hits_addend') ??
    dynamicMetadata?.get('envoy.ratelimit')?.['hits_addend'];
  const hits = typeof found === 'string' && found.trim() !== '' ? Number(found) : found;
  return typeof hits === 'number' && hits >= 0 && hits <= MAX_HITS ? Math.floor(hits) : 0;
}

/** Envoy: anything but OVER_LIMIT lets the request through. */
function answerOf(response: service.RateLimitResponse): LimitAnswer {
  return {
    isOver: response.overallCode === service.RateLimitResponse_Code.OVER_LIMIT,
    statuses: response.statuses,
    requestHeaders: linesOf(response.requestHeadersToAdd),
    responseHeaders: linesOf(response.responseHeadersToAdd),
    body: response.rawBody,
    metadata: response.dynamicMetadata,
  };
}

/** What HTTP does not allow, and what routing goes by, is left out: a filter may add headers, not more. */
function linesOf(headers: readonly core.HeaderValue[]): readonly LimitHeader[] {
  const lines: LimitHeader[] = [];
  for (const { key, value, rawValue } of headers) {
    const bytes = value === '' ? rawValue : Buffer.from(value);
    const text = Buffer.from(bytes).toString('latin1');
    const name = key.toLowerCase();
    if (NAME.test(name) && name !== 'host' && !BREAKS.test(text)) lines.push([name, text]);
  }
  return lines;
}

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const BREAKS = /[\0\r\n]/;
