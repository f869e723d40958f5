import fc from 'fast-check';
import type { InboundLimits } from '../../src/model/inbound-limits.js';
import type { HttpConnectionManager } from '../../src/model/listener.js';

const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const milliseconds = () =>
  fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 10_000_000 }), fc.constant(1.5));
const uint32 = (min = 0) => fc.integer({ min, max: 2 ** 32 - 1 });

/** The limits of a server's connection manager. */
export const inboundLimits = (): fc.Arbitrary<
  Pick<HttpConnectionManager, 'limits' | 'streamIdleTimeoutMs' | 'maxStreamDurationMs'>
> =>
  fc.record({
    limits: fc
      .record<InboundLimits>({
        requestTimeoutMs: maybe(milliseconds()),
        requestHeadersTimeoutMs: maybe(milliseconds()),
        idleTimeoutMs: maybe(milliseconds()),
        maxConnectionDurationMs: maybe(milliseconds()),
        maxRequestsPerConnection: maybe(uint32()),
        maxHeadersCount: maybe(uint32(1)),
        maxRequestHeadersKb: maybe(fc.integer({ min: 1, max: 8192 })),
        underscores: fc.constantFrom('reject', 'drop', undefined),
        drainTimeoutMs: maybe(milliseconds()),
        delayedCloseTimeoutMs: maybe(milliseconds()),
      })
      // None that is set, none at all.
      .map((limits) => (Object.values(limits).some((one) => one !== undefined) ? limits : undefined)),
    streamIdleTimeoutMs: maybe(milliseconds()),
    maxStreamDurationMs: maybe(milliseconds()),
  });
