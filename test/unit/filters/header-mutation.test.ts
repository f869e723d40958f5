import { describe, expect, test } from 'vitest';
import { buildFilters } from '../../../src/filters/builtin.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import type { AppendAction, HeaderStep } from '../../../src/model/header-mutation.js';
import { compose, type Request } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { filterTools, makeRequest, makeResponse } from './support.js';

const NAME = 'envoy.filters.http.header_mutation';
const set = (
  name: string,
  value: string,
  action: AppendAction = 'overwrite-if-exists-or-add',
): HeaderStep => ({ kind: 'set', addition: { name, value, action, keepEmpty: false } });
const remove = (name: string): HeaderStep => ({ kind: 'remove', name });

interface Levels {
  readonly own: readonly HeaderStep[];
  /** Most specific first. */
  readonly routes?: readonly (readonly HeaderStep[])[];
  readonly response?: readonly HeaderStep[];
  readonly mostSpecificWins?: boolean;
}

async function run(levels: Levels, request: Request) {
  const { own, routes = [], response = [], mostSpecificWins = false } = levels;
  const filters = buildFilters(
    [{ name: NAME, config: { kind: 'header-mutation', request: own, response, mostSpecificWins } }],
    routes.map(
      (steps) =>
        new Map<string, FilterConfig>([
          [NAME, { kind: 'header-mutation-route', request: steps, response: [] }],
        ]),
    ),
    filterTools(createFakeClock()),
  );
  return compose(filters, async () => makeResponse(200, { 'x-up': '1' }))(request);
}

describe('header mutation', () => {
  test('steps run in order, each on what the ones before left', async () => {
    const request = makeRequest({ header: { 'x-a': '1' } });
    await run({ own: [set('x-b', '%REQ(x-a)%'), remove('x-a'), set('x-c', '[%REQ(x-a)%]')] }, request);
    expect(Object.fromEntries(request.headers)).toEqual({ 'x-b': '1', 'x-c': '[]' });
  });

  test('levels come after the filter itself; the least specific wins unless told otherwise', async () => {
    const levels = { own: [set('x-a', 'filter')], routes: [[set('x-a', 'route')], [set('x-a', 'host')]] };
    const request = makeRequest();
    await run(levels, request);
    expect(request.headers.get('x-a')).toBe('host');
    await run({ ...levels, mostSpecificWins: true }, request);
    expect(request.headers.get('x-a')).toBe('route');
  });

  test('pseudo-headers can be replaced, not removed', async () => {
    const request = makeRequest({ path: '/a', header: { host: 'old' } });
    await run(
      { own: [set(':path', '/b?from=%REQ(:path)%'), set(':authority', 'new'), remove(':method')] },
      request,
    );
    expect([request.path, request.authority, request.method]).toEqual(['/b?from=/a', 'new', 'GET']);
    expect(request.headers.get('host')).toBe('new');
  });

  test('the response is changed on its way back', async () => {
    const response = await run(
      { own: [], response: [remove('x-up'), set('x-code', '%RESPONSE_CODE%')] },
      makeRequest(),
    );
    expect(Object.fromEntries(response.headers)).toEqual({ 'x-code': '200' });
  });
});
