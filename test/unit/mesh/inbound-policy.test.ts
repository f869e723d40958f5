import { expect, test } from 'vitest';
import { customFilters } from '../../../src/filters/custom-filters.js';
import { defineFilter, reply } from '../../../src/filters.js';
import { inboundPolicyOf } from '../../../src/mesh/inbound-policy.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { makeRequest } from '../filters/support.js';

test('a filter used in code guards a server that has no listener yet', async () => {
  const guard = defineFilter({
    name: 'guard',
    create: () => async (request) => reply(request, { status: 401 }),
  });
  const tools = {
    clock: createFakeClock(),
    random: seededRandom(1),
    node: { id: 'n', cluster: 'c' },
    upstream: () => undefined,
  };
  expect(inboundPolicyOf(undefined, tools).tls?.service).toBeUndefined();
  const policy = inboundPolicyOf(undefined, { ...tools, custom: customFilters([], [guard.use(undefined)]) });
  const response = await policy.tls?.service?.(makeRequest());
  expect(response?.status).toBe(401);
});
