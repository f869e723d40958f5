import type { FilterConfig } from '../../../src/model/filter-config.js';
import { ALWAYS } from '../../../src/model/percent.js';

/** One full value of each filter that decides by itself, as the list of filters has it. */
export const LOCAL_FILTERS: readonly FilterConfig[] = [
  {
    kind: 'local-rate-limit',
    statPrefix: 'limit',
    status: 503,
    bucket: { maxTokens: 10, tokensPerFill: 2, fillIntervalMs: 1000 },
    enabled: ALWAYS,
    enforced: ALWAYS,
    requestHeadersWhenNotEnforced: [{ name: 'x-over', value: 'a', action: 'add-if-absent', keepEmpty: true }],
    responseHeaders: [{ name: 'x-why', value: 'a', action: 'add-if-absent', keepEmpty: true }],
    descriptors: [
      {
        entries: [{ key: 'k', value: 'v' }],
        bucket: { maxTokens: 10, tokensPerFill: 2, fillIntervalMs: 1000 },
        shadow: true,
      },
    ],
    maxDynamicDescriptors: 3,
    stage: 4,
    rateLimits: [
      {
        stage: 0,
        disableKey: '',
        actions: [{ kind: 'source-cluster' }],
        limit: undefined,
        hits: { count: 3, isRefund: true },
        onStreamDone: true,
        rateLimitHeaders: false,
      },
    ],
    virtualHostRateLimits: 'ignore',
    perConnection: true,
    rateLimitHeaders: true,
    alwaysConsumeDefault: false,
    resourceExhausted: true,
  },
];
