import { describe, expect, test } from 'vitest';
import { buildFilters } from '../../../src/filters/builtin.js';
import type { FilterTools } from '../../../src/filters/filter.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import type { MatchTree, OnMatch } from '../../../src/model/match-tree.js';
import type { RbacAction, RbacConfig, RbacPolicy, RbacRules } from '../../../src/model/rbac.js';
import { compose, type Request } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { filterTools, makeRequest, makeResponse } from './support.js';

const onPath = (name: string, path: string): RbacPolicy => ({
  name,
  permissions: [{ kind: 'path', matcher: { kind: 'exact', value: path, ignoreCase: false } }],
  principals: [{ kind: 'any' }],
});
const config = (change: Partial<RbacConfig>): RbacConfig => ({
  kind: 'rbac',
  rules: undefined,
  shadowRules: undefined,
  rulesStatPrefix: '',
  shadowRulesStatPrefix: '',
  trackPerRuleStats: false,
  ...change,
});

async function run(own: RbacConfig, request: Request, tools: FilterTools, override?: FilterConfig) {
  const overrides = override === undefined ? [] : [new Map([['rbac', override]])];
  const filters = buildFilters([{ name: 'rbac', config: own }], overrides, tools);
  return compose(filters, async () => makeResponse(200))(request);
}

describe('RBAC', () => {
  const allow: RbacRules = { action: 'allow', policies: [onPath('public', '/open')] };
  const deny: RbacRules = { action: 'deny', policies: [onPath('no entry', '/closed')] };
  const tools = () => filterTools(createFakeClock());

  test('refuses what no policy allows, with Envoy’s answer', async () => {
    const request = makeRequest({ path: '/other?x=1' });
    const response = await run(config({ rules: allow }), request, tools());
    expect([response.status, response.body]).toEqual([403, { kind: 'bytes', bytes: 'RBAC: access denied' }]);
    expect(request.context.details).toBe('rbac_access_denied_matched_policy[none]');
    expect((await run(config({ rules: allow }), makeRequest({ path: '/open?x=1' }), tools())).status).toBe(
      200,
    );
  });

  test('names the policy that denies, without white space', async () => {
    const request = makeRequest({ path: '/closed' });
    await run(config({ rules: deny }), request, tools());
    expect(request.context.details).toBe('rbac_access_denied_matched_policy[no_entry]');
  });

  test('shadow rules are recorded and refuse nothing', async () => {
    const request = makeRequest({ path: '/closed' });
    const own = tools();
    const response = await run(config({ shadowRules: deny, shadowRulesStatPrefix: 'p_' }), request, own);
    expect(response.status).toBe(200);
    expect(request.context.dynamicMetadata?.get('envoy.filters.http.rbac')).toEqual({
      p_shadow_effective_policy_id: 'no entry',
      p_shadow_engine_result: 'denied',
    });
    expect(own.memory.counter('rbac.p_shadow_denied').value).toBe(1);
  });

  test('log lets everything through and marks it', async () => {
    const request = makeRequest({ path: '/closed' });
    const response = await run(config({ rules: { ...deny, action: 'log' } }), request, tools());
    expect(response.status).toBe(200);
    expect(request.context.dynamicMetadata?.get('envoy.common')).toEqual({ access_log_hint: true });
  });

  test('a route replaces the rules, or turns the filter off; configuration of another filter does not', async () => {
    const closed = () => makeRequest({ path: '/closed' });
    const own = config({ rules: deny });
    const status = async (override: FilterConfig) => (await run(own, closed(), tools(), override)).status;
    expect(await status({ kind: 'rbac-route', rbac: undefined })).toBe(200);
    expect(await status({ kind: 'rbac-route', rbac: config({ rules: allow }) })).toBe(403);
    expect(await status({ kind: 'cors' })).toBe(403);
  });

  test('a match tree stands in the place of rules; what finds no action is denied', async () => {
    const action = (name: string, effect: RbacAction['action']): OnMatch<RbacAction> => ({
      kind: 'action',
      action: { name, action: effect },
      keepMatching: false,
    });
    const matcher: MatchTree<RbacAction> = {
      node: {
        kind: 'exact-map',
        input: { kind: 'request-header', name: 'x-user' },
        entries: new Map([
          ['jason', action('known', 'allow')],
          ['mallory', action('banned', 'deny')],
          ['eve', action('watched', 'log')],
        ]),
      },
      otherwise: undefined,
    };
    const own = tools();
    const ask = async (user: string) => {
      const request = makeRequest({ header: { 'x-user': user } });
      const { status } = await run(config({ matcher, shadowMatcher: matcher, rules: deny }), request, own);
      const hint = request.context.dynamicMetadata?.get('envoy.common')?.['access_log_hint'];
      return [status, request.context.details, hint];
    };
    expect(await ask('jason')).toEqual([200, undefined, false]);
    expect(await ask('mallory')).toEqual([403, 'rbac_access_denied_matched_policy[banned]', false]);
    expect(await ask('eve')).toEqual([200, undefined, true]);
    expect(await ask('nobody')).toEqual([403, 'rbac_access_denied_matched_policy[none]', false]);
    expect(own.memory.counter('rbac.shadow_denied').value).toBe(2);
  });
});
