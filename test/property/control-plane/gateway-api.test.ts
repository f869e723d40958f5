import fc from 'fast-check';
import { expect, test } from 'vitest';
import { statusOf } from '../../../src/control-plane/gateway-api/status.js';
import { compileRoutes } from '../../../src/routing/router.js';
import { HeaderMap } from '../../../src/service/headers.js';
import { compile, service, viewOf } from '../../unit/control-plane/compile/mesh.js';

const HOST = 'a.default.svc.cluster.local';
const SERVICES = ['a', 'b'].map((name) => service(name, 80)).join('');

const match = fc.record(
  {
    path: fc.oneof(
      fc.record({ type: fc.constant('Exact'), value: fc.constantFrom('/', '/x', '/x/y') }),
      fc.record({ type: fc.constant('PathPrefix'), value: fc.constantFrom('/', '/x', '/x/', '/x/y') }),
    ),
    method: fc.constantFrom('GET', 'POST'),
    headers: fc.subarray([
      { name: 'one', value: '1' },
      { name: 'two', value: '2' },
    ]),
    queryParams: fc.subarray([{ name: 'q', value: '1' }]),
  },
  { requiredKeys: [] },
);
type Match = typeof match extends fc.Arbitrary<infer T> ? T : never;

const routes = fc.array(
  fc.array(fc.array(match, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
  {
    minLength: 1,
    maxLength: 3,
  },
);

const request = fc.record({
  path: fc.constantFrom('/', '/x', '/x/', '/x/y', '/xy', '/x/y/z', '/z'),
  method: fc.constantFrom('GET', 'POST'),
  headers: fc.subarray([['one', '1'] as const, ['two', '2'] as const]),
  hasQuery: fc.boolean(),
});
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

/** The Gateway API, as its text says it. */
function holds({ path, method, headers = [], queryParams = [] }: Match, asked: Request): boolean {
  const { type, value } = path ?? { type: 'PathPrefix', value: '/' };
  const segments = (text: string) => text.split('/').filter((part) => part !== '');
  const takesPath =
    type === 'Exact'
      ? asked.path === value
      : segments(value).every((part, index) => segments(asked.path)[index] === part);
  return (
    takesPath &&
    (method === undefined || method === asked.method) &&
    headers.every(({ name }) => asked.headers.some(([own]) => own === name)) &&
    (queryParams.length === 0 || asked.hasQuery)
  );
}

function criteria({ path, method, headers = [], queryParams = [] }: Match): readonly number[] {
  const { type, value } = path ?? { type: 'PathPrefix', value: '/' };
  return [
    type === 'Exact' ? 1 : 0,
    value.length,
    method === undefined ? 0 : 1,
    headers.length,
    queryParams.length,
  ];
}

/** The best match in document order: a later one wins only where it is better. */
function expected(all: readonly (readonly (readonly Match[])[])[], asked: Request): string | undefined {
  let best: { readonly name: string; readonly rank: readonly number[] } | undefined;
  for (const [route, rules] of all.entries()) {
    for (const [rule, matches] of rules.entries()) {
      for (const one of matches.filter((candidate) => holds(candidate, asked))) {
        const rank = criteria(one);
        const at = best === undefined ? -1 : rank.findIndex((value, index) => value !== best?.rank[index]);
        const isBetter = best === undefined || (at >= 0 && (rank[at] ?? 0) > (best.rank[at] ?? 0));
        if (isBetter) best = { name: `default.r${route}.rule${rule}`, rank };
      }
    }
  }
  return best?.name;
}

function documents(all: readonly (readonly (readonly Match[])[])[]): string {
  const texts = all.map((rules, route) =>
    JSON.stringify({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: `r${route}` },
      spec: {
        parentRefs: [{ group: '', kind: 'Service', name: 'a' }],
        rules: rules.map((matches, rule) => ({
          name: `rule${rule}`,
          matches,
          backendRefs: [{ name: 'b', port: 80 }],
        })),
      },
    }),
  );
  return [SERVICES, ...texts].join('\n---\n');
}

test('of all matches of all routes the most specific one counts, then the oldest route, then the first rule', () => {
  fc.assert(
    fc.property(routes, fc.array(request, { minLength: 1, maxLength: 8 }), (all, requests) => {
      const set = compile(documents(all));
      const table = set.routes.get(`outbound|80||${HOST}`);
      if (table === undefined) throw new Error('no table');
      const router = compileRoutes(table);
      for (const asked of requests) {
        const head = {
          method: asked.method,
          scheme: 'http',
          authority: 'a',
          path: asked.hasQuery ? `${asked.path}?q=1` : asked.path,
          headers: HeaderMap.from(asked.headers),
        };
        expect(router.select(head, 0)?.route.name).toBe(expected(all, asked));
      }
    }),
    { numRuns: 60 },
  );
});

test('the status of a set of documents depends on nothing but the documents', () => {
  fc.assert(
    fc.property(routes, (all) => {
      const text = documents(all);
      expect(statusOf(viewOf(text))).toEqual(statusOf(viewOf(text)));
    }),
    { numRuns: 10 },
  );
});
