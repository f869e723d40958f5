import { describe, expect, test } from 'vitest';
import { buildFilters } from '../../../src/filters/builtin.js';
import { customFilters } from '../../../src/filters/custom-filters.js';
import { defineFilter, type FilterPlacing, reply } from '../../../src/filters.js';
import type { CustomFilterConfig } from '../../../src/model/custom-filter.js';
import type { FilterConfig, HttpFilter } from '../../../src/model/filter-config.js';
import { compose } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { filterTools, makeRequest, makeResponse } from './support.js';

/** Writes its mark into a header, so that order and configuration show. */
const mark = (name: string) =>
  defineFilter({
    name,
    parse: String,
    create:
      (text, { direction }) =>
      (request, next) => {
        request.headers.append('x-order', `${text}@${direction}`);
        return next(request);
      },
  });

const ROUTER: HttpFilter = { name: 'router', config: { kind: 'router' } };
const CORS: HttpFilter = { name: 'cors', config: { kind: 'cors' } };

const config = (type: string, value: unknown): CustomFilterConfig => ({
  kind: 'custom',
  type,
  source: { kind: 'json', typeUrl: type, json: {} },
  value,
  clusters: [],
});

const [a, b, c] = [mark('a'), mark('b'), mark('c')];

describe('place', () => {
  const place = (placing: FilterPlacing['place']) =>
    customFilters([], [a.use('1', { place: placing }), b.use('2', { place: placing })])
      .arrange([CORS, ROUTER], 'outbound')
      .map(({ name }) => name);

  test.each<[FilterPlacing['place'], string[]]>([
    [undefined, ['a', 'b', 'cors', 'router']],
    ['first', ['a', 'b', 'cors', 'router']],
    ['last', ['cors', 'a', 'b', 'router']],
    [{ before: 'cors' }, ['a', 'b', 'cors', 'router']],
    [{ after: 'cors' }, ['cors', 'a', 'b', 'router']],
    [{ after: 'nobody' }, ['a', 'b', 'cors', 'router']],
  ])('%j', (placing, names) => {
    expect(place(placing)).toEqual(names);
  });

  test('a listed filter of the same name stands for the one in code', () => {
    const table = customFilters([], [a.use('code')]);
    const listed = [{ name: 'a', config: config('a', 'listed') }, ROUTER];
    expect(table.arrange(listed, 'outbound')).toEqual(listed);
  });

  test('only in its direction', () => {
    const table = customFilters([], [a.use('1', { directions: ['inbound'] })]);
    expect(table.arrange([ROUTER], 'outbound')).toEqual([ROUTER]);
    expect(table.arrange([], 'inbound')).toMatchObject([{ name: 'a' }]);
  });
});

describe('configuration', () => {
  async function order(
    filters: readonly HttpFilter[],
    overrides: readonly ReadonlyMap<string, FilterConfig>[],
    table = customFilters([a, b, c], []),
  ) {
    const built = buildFilters(filters, overrides, { ...filterTools(createFakeClock()), custom: table });
    const request = makeRequest();
    await compose(built, async () => makeResponse(200))(request);
    return request.headers.getAll('x-order');
  }

  test('of the most specific route replaces the filter’s; a route can turn it off', async () => {
    const filters = [
      { name: 'one', config: config('a', 'base') },
      { name: 'two', config: config('b', 'base') },
      { name: 'off', config: config('c', 'base') },
      ROUTER,
    ];
    const route = new Map<string, FilterConfig>([
      ['one', config('a', 'route')],
      ['off', { kind: 'disabled' }],
    ]);
    const host = new Map([['one', config('a', 'host')]]);
    expect(await order(filters, [route, host])).toEqual(['route@outbound', 'base@outbound']);
  });

  test('of another filter under its name says nothing to it', async () => {
    const filters = [{ name: 'one', config: config('a', 'base') }, ROUTER];
    expect(await order(filters, [new Map([['one', config('b', 'other')]])])).toEqual(['base@outbound']);
  });

  test('of a route applies to filters used in code', async () => {
    const table = customFilters([], [a.use('code')]);
    expect(await order([ROUTER], [new Map([['a', config('a', 'route')]])], table)).toEqual([
      'route@outbound',
    ]);
    expect(await order([ROUTER], [], table)).toEqual(['code@outbound']);
  });

  test('of a route may be of a form of its own that is applied to the filter’s', async () => {
    const sum = defineFilter<number, string>({
      name: 'sum',
      parse: Number,
      route: { parse: String, apply: (base, text) => base + text.length },
      create: (count) => async (request) => reply(request, { status: 200, text: String(count) }),
    });
    const table = customFilters([sum], []);
    const route = table.find('sum')?.parse({ kind: 'json', typeUrl: 'sum', json: {} }, 'route');
    expect(route?.value).toBe('[object Object]');
    const [filter] = buildFilters(
      [{ name: 's', config: config('sum', 40) }],
      [new Map([['s', config('sum', 'ab')]])],
      { ...filterTools(createFakeClock()), custom: table },
    );
    const response = await filter?.(makeRequest(), async () => makeResponse(500));
    expect(response?.body).toEqual({ kind: 'bytes', bytes: '42' });
  });
});

describe('what it may use', () => {
  test('counts under its name, and shares state among the stacks of a configuration', async () => {
    let made = 0;
    const counting = defineFilter({
      name: 'counting',
      create(_config, context) {
        context.shared(() => ++made);
        const seen = context.counter('seen');
        return (request, next) => {
          seen.value++;
          return next(request);
        };
      },
    });
    const tools = { ...filterTools(createFakeClock()), custom: customFilters([], [counting.use(undefined)]) };
    for (let i = 0; i < 2; i++) {
      const [filter] = buildFilters([ROUTER], [], tools);
      await filter?.(makeRequest(), async () => makeResponse(200));
    }
    expect(made).toBe(1);
    expect(tools.memory.counters.get('custom:counting/seen')?.value).toBe(2);
  });

  test('answers by itself, in JSON and for gRPC', async () => {
    const json = reply(makeRequest(), { status: 403, json: { error: 'no' }, headers: { 'X-Why': 'key' } });
    expect([json.status, json.body, ...json.headers]).toEqual([
      403,
      { kind: 'bytes', bytes: '{"error":"no"}' },
      ['content-length', '14'],
      ['x-inmesh-reason', 'INMESH_FILTER_REPLY'],
      ['content-type', 'application/json'],
      ['x-why', 'key'],
    ]);
    const request = makeRequest({ header: { 'content-type': 'application/grpc' } });
    const grpc = reply(request, { status: 403, text: 'no', flag: 'UAEX', details: 'acme' });
    expect([grpc.status, grpc.headers.get('grpc-status'), grpc.headers.get('grpc-message')]).toEqual([
      200,
      '7',
      'no',
    ]);
    expect([request.context.flags, request.context.details]).toEqual([['UAEX'], 'acme']);
  });
});

describe('definitions that can’t be', () => {
  test.each<[string, () => unknown]>([
    ['a name with spaces', () => defineFilter({ name: 'a b', create: () => undefined })],
    ['two of one name', () => customFilters([mark('x'), mark('x')], [])],
    ['two uses of one name', () => customFilters([], [a.use('1'), a.use('2')])],
    [
      'a use on a side that it is not for',
      () =>
        defineFilter({ name: 'in', directions: ['inbound'], create: () => undefined }).use(undefined, {
          directions: ['outbound'],
        }),
    ],
    // A definition of another making: what JavaScript lets through.
    ['what defineFilter did not make', () => customFilters([{ name: 'x', use: a.use }], [])],
  ])('%s', (_name, make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'INMESH_OPTION_INVALID' }));
  });

  test('one filter may be used twice under two names', () => {
    const table = customFilters([], [a.use('1'), a.use('2', { name: 'again' })]);
    expect(table.arrange([], 'outbound').map(({ name }) => name)).toEqual(['a', 'again']);
  });
});
