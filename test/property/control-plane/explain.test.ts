import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RequestExplanation } from '../../../src/control-plane/explain/explanation.js';
import type { WorkloadInput } from '../../../src/control-plane/registry/workload.js';
import { readBody } from '../../../src/service/body.js';
import { createExchange } from '../../../src/service/context.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Response } from '../../../src/service/service.js';
import { networking, service } from '../../unit/control-plane/compile/mesh.js';
import { type BothSides, bothSides } from './explain-world.js';

// `explain` tells what the live router does: random routes, and random requests that the client of the SDK sends.

const SERVICES = ['a', 'b', 'copies'].map((name) => service(name, 80)).join('');
const WORKLOADS: readonly WorkloadInput[] = [
  ['a', 'v1'],
  ['a', 'v2'],
  ['b', 'v1'],
  ['copies', 'v1'],
].map(([name = '', version = ''], index) => ({
  service: name,
  version,
  labels: { app: name, version },
  address: `10.0.0.${index + 1}`,
  port: 8080,
  portName: 'http',
}));

const HOST = 'a.default.svc.cluster.local';
const paths = ['/', '/x', '/x/', '/x/y', '/xy', '/x/y/z'] as const;

const headerMap = fc.dictionary(fc.constantFrom('x-one', 'x-two', 'x-three'), fc.constantFrom('1', 'two'), {
  maxKeys: 2,
});
const operations = fc.record(
  { set: headerMap, add: headerMap, remove: fc.subarray(['x-one', 'x-two', 'user-agent']) },
  { requiredKeys: [] },
);
const headers = fc.record({ request: operations, response: operations }, { requiredKeys: [] });

const pathMatch = fc.oneof(
  fc.constantFrom(...paths).map((prefix) => ({ prefix })),
  fc.constantFrom(...paths).map((exact) => ({ exact })),
  fc.constantFrom('/x.*', '/[xz]/y').map((regex) => ({ regex })),
);
const valueMatch = fc.constantFrom<object>({ exact: '1' }, { prefix: 't' }, { regex: '[0-9]' }, {});
const match = fc.record(
  {
    uri: pathMatch,
    method: fc.constantFrom('GET', 'POST').map((exact) => ({ exact })),
    headers: fc.dictionary(fc.constantFrom('x-one', 'x-two'), valueMatch, { maxKeys: 2 }),
    withoutHeaders: fc.dictionary(fc.constantFrom('x-three'), valueMatch, { maxKeys: 1 }),
    queryParams: fc.dictionary(fc.constant('q'), fc.constantFrom<object>({ exact: '1' }, { regex: '.+' }), {
      maxKeys: 1,
    }),
    ignoreUriCase: fc.boolean(),
  },
  { requiredKeys: [] },
);

const to = fc.record({
  destination: fc.constantFrom<object>(
    { host: 'a', subset: 'v1' },
    { host: 'a', subset: 'v2' },
    { host: 'a' },
    { host: 'b' },
    { host: 'a', subset: 'none' },
    { host: 'nobody' },
  ),
  weight: fc.constantFrom(1, 10, 30),
  headers,
});
const retries = fc.oneof(
  fc.constant({ attempts: 0 }),
  fc.record(
    {
      attempts: fc.constantFrom(1, 3),
      perTryTimeout: fc.constantFrom('0.5s', '2s'),
      retryOn: fc.constantFrom('5xx', '503', 'connect-failure', 'gateway-error,reset'),
      backoff: fc.constant('10ms'),
    },
    { requiredKeys: ['attempts'] },
  ),
);
const forwards = fc.record(
  {
    route: fc.array(to, { minLength: 1, maxLength: 3 }),
    rewrite: fc.record(
      { uri: fc.constantFrom('/', '/new', '/new/'), authority: fc.constant('other.example') },
      { requiredKeys: ['uri'] },
    ),
    timeout: fc.constantFrom('1s', '5s'),
    retries,
    headers,
    fault: fc.constantFrom<object>(
      { abort: { httpStatus: 418, percentage: { value: 100 } } },
      { abort: { httpStatus: 418, percentage: { value: 0 } } },
    ),
    mirrors: fc.constant([{ destination: { host: 'copies' }, percentage: { value: 100 } }]),
  },
  { requiredKeys: ['route'] },
);
const answers = fc.oneof(
  fc.record(
    { directResponse: fc.constant({ status: 204 }), headers: fc.record({ response: operations }) },
    { requiredKeys: ['directResponse'] },
  ),
  fc.record({
    redirect: fc.record(
      {
        uri: fc.constantFrom('/moved'),
        authority: fc.constant('moved.example'),
        redirectCode: fc.constantFrom(301, 307),
        scheme: fc.constantFrom('https'),
        port: fc.constant(8443),
      },
      { requiredKeys: ['authority'] },
    ),
  }),
);
const rule = fc
  .tuple(
    fc.record({ match: fc.array(match, { minLength: 1, maxLength: 2 }) }, { requiredKeys: [] }),
    fc.oneof({ weight: 4, arbitrary: forwards }, { weight: 1, arbitrary: answers }),
  )
  .map(([when, then]) => ({ ...when, ...then }));

/** What callers ask of Envoy by headers. */
const callersWishes: fc.Arbitrary<Record<string, string>> = fc.record(
  {
    'x-envoy-upstream-rq-timeout-ms': fc.constantFrom('700', '3000'),
    'x-envoy-max-retries': fc.constantFrom('2'),
    'x-envoy-retry-on': fc.constantFrom('5xx', 'retriable-4xx'),
  },
  { requiredKeys: [] },
);

const request = fc.record({
  method: fc.constantFrom('GET', 'POST'),
  path: fc
    .tuple(fc.constantFrom(...paths, '/X/Y'), fc.constantFrom('', '?q=1', '?q=&p=2'))
    .map((one) => one.join('')),
  headers: fc.tuple(headerMap, callersWishes).map((maps) => maps.flatMap((map) => Object.entries(map))),
  host: fc.constantFrom(
    'a',
    HOST,
    'a:80',
    'a.default',
    'A',
    'b',
    'b',
    'b.default.svc',
    'b:81',
    'elsewhere.test',
  ),
  draw: fc.double({ min: 0, max: 0.999_999, noNaN: true }),
});
type Asked = typeof request extends fc.Arbitrary<infer T> ? T : never;

const virtualService = fc
  .array(rule, { minLength: 1, maxLength: 4 })
  .map((http) => networking('VirtualService', 'a', JSON.stringify({ hosts: ['a'], http: named(http) })));

/** Istio refuses rules after one that takes everything, so that they come first. */
function named(http: readonly object[]): readonly object[] {
  return http
    .map((one, index) => ({ name: `rule-${index}`, ...one }))
    .sort((one, other) => Number('match' in other) - Number('match' in one));
}

const filters = fc.uniqueArray(
  fc.oneof(
    fc.record({
      type: fc.constant('RequestHeaderModifier'),
      requestHeaderModifier: fc.constantFrom<object>(
        { set: [{ name: 'X-One', value: 'set' }] },
        { add: [{ name: 'x-two', value: 'more' }], remove: ['x-one'] },
      ),
    }),
    fc.record({
      type: fc.constant('ResponseHeaderModifier'),
      responseHeaderModifier: fc.constant({ set: [{ name: 'x-up', value: 'changed' }] }),
    }),
    fc.record({
      type: fc.constant('URLRewrite'),
      urlRewrite: fc.constantFrom<object>(
        { hostname: 'other.example' },
        { path: { type: 'ReplaceFullPath', replaceFullPath: '/full' } },
      ),
    }),
    fc.record({
      type: fc.constant('RequestMirror'),
      requestMirror: fc.constant({ backendRef: { name: 'copies', port: 80 } }),
    }),
  ),
  { selector: ({ type }) => type, maxLength: 3 },
);
const apiMatch = fc.record(
  {
    path: fc.oneof(
      fc.record({ type: fc.constantFrom('Exact', 'PathPrefix'), value: fc.constantFrom(...paths) }),
      fc.record({ type: fc.constant('RegularExpression'), value: fc.constantFrom('/x.*', '/[xz]/y') }),
    ),
    method: fc.constantFrom('GET', 'POST'),
    headers: fc.subarray([
      { name: 'X-One', value: '1' },
      { name: 'x-two', type: 'RegularExpression', value: 't.*' },
    ]),
    queryParams: fc.subarray([{ name: 'q', value: '1' }]),
  },
  { requiredKeys: [] },
);
const backend = fc.record({
  name: fc.constantFrom('a', 'b', 'nobody'),
  port: fc.constant(80),
  weight: fc.constantFrom(0, 1, 5),
  filters,
});
const apiRule = fc.oneof(
  fc.record(
    {
      matches: fc.array(apiMatch, { minLength: 1, maxLength: 2 }),
      backendRefs: fc.array(backend, { minLength: 1, maxLength: 3 }),
      filters,
      timeouts: fc.constantFrom<object>({ request: '2s' }, { request: '4s', backendRequest: '1s' }),
      retry: fc.constantFrom<object>({ codes: [503], attempts: 2, backoff: '5ms' }, { attempts: 0 }),
    },
    { requiredKeys: ['backendRefs'] },
  ),
  fc.record({
    matches: fc.array(apiMatch, { minLength: 1, maxLength: 1 }),
    filters: fc.constantFrom<object[]>(
      [{ type: 'RequestRedirect', requestRedirect: { hostname: 'moved.example', statusCode: 301 } }],
      [
        {
          type: 'RequestRedirect',
          requestRedirect: { scheme: 'https', path: { type: 'ReplaceFullPath', replaceFullPath: '/m' } },
        },
      ],
    ),
  }),
);
const httpRoute = fc.array(apiRule, { minLength: 1, maxLength: 3 }).map((rules) => {
  const parentRefs = [{ group: '', kind: 'Service', name: 'b' }];
  const apiVersion = 'gateway.networking.k8s.io/v1';
  return `---\n${JSON.stringify({ apiVersion, kind: 'HTTPRoute', metadata: { name: 'b' }, spec: { parentRefs, rules } })}\n`;
});

const subsets = ['v1', 'v2', 'none'].map((name) => ({
  name,
  labels: { version: name },
}));
const destinationRule = fc
  .constantFrom('ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM')
  .map((simple) =>
    networking(
      'DestinationRule',
      'a',
      JSON.stringify({ host: 'a', subsets, trafficPolicy: { loadBalancer: { simple } } }),
    ),
  );

/** What every endpoint answers with. */
const UPSTREAM = { 'x-one': 'up', 'x-up': 'up' };

/** What a client adds to every request on the wire. */
const OF_THE_CLIENT = /^x-(?:envoy-(?:expected-rq-timeout-ms|attempt-count)|request-id)$/;

interface Lived {
  readonly response: Response | undefined;
  readonly attempts: readonly { readonly address: string; readonly head: object }[];
  readonly endedAtMs: number;
}

type Answer = 'ok' | 'failing' | 'hanging';

/** Sends the request, in virtual time, to endpoints that all answer alike. */
async function live(path: BothSides['live'], asked: Asked, answer: Answer): Promise<Lived | undefined> {
  const target = path.table.lookup(`http://${asked.host}`);
  if (target === undefined) return undefined;
  path.network.forget();
  for (const { address, port } of WORKLOADS) {
    path.network.serve(`${address}:${port}`, () =>
      answer === 'hanging'
        ? new Promise(() => {})
        : { status: answer === 'ok' ? 200 : 503, headers: UPSTREAM },
    );
  }
  const start = path.clock.now();
  let endedAtMs = -1;
  let response: Response | undefined;
  const sent = path
    .send(`http://${asked.host}`, {
      method: asked.method,
      path: asked.path,
      headers: HeaderMap.from(asked.headers),
      context: createExchange('outbound', start, asked.draw),
    })
    .then(
      (got) => {
        response = got;
        endedAtMs = path.clock.now() - start;
      },
      () => {
        endedAtMs = path.clock.now() - start;
      },
    );
  await path.clock.advance(20_000);
  if (endedAtMs >= 0) await sent;
  const attempts = path.network.attempts.map(({ address, request: one }) => ({ address, head: headOf(one) }));
  return { response, attempts, endedAtMs };
}

function headOf({
  authority,
  path,
  headers: list,
}: {
  readonly authority: string;
  readonly path: string;
  readonly headers: Iterable<readonly [string, string]>;
}): object {
  const own = [...list]
    .filter(([name]) => !OF_THE_CLIENT.test(name))
    .map(([name, value]) => `${name}: ${value}`);
  return { authority, path, headers: own.sort() };
}

/** Copies go to a service of their own. */
const isMirror = ({ address }: { readonly address: string }) => address === '10.0.0.4:8080';

async function compareWith(both: BothSides, asked: Asked): Promise<void> {
  const { method, headers: list, host, path, draw } = asked;
  const told = await both.explain({ method, url: `http://${host}${path}`, headers: list, draw });
  const ok = await live(both.live, asked, 'ok');
  if (told.outcome === 'passed-through') {
    expect(ok).toBeUndefined();
    return;
  }
  if (ok === undefined) throw new Error(`the mesh owns no ${host}, but: ${told.reason}`);
  const own = ok.attempts.filter((one) => !isMirror(one));
  const aborted = abortOf(told);
  if (told.outcome !== 'forwarded' || aborted !== undefined) {
    expect(own).toEqual([]);
    expect(ok.response?.status).toBe(aborted ?? told.response?.status ?? 404);
    if (aborted === undefined) {
      expect(ok.response?.headers.get('location')).toBe(told.response?.location);
      const { body } = told.response ?? {};
      if (body !== undefined && ok.response) expect((await readBody(ok.response.body)).toString()).toBe(body);
    }
    return;
  }
  const chosen = told.endpoints.filter((one) => one.chosen).map((one) => `${one.address}:${one.port}`);
  if (chosen.length === 0) {
    expect(own).toEqual([]);
    expect(ok.response?.status).toBe(503);
    return;
  }
  expect(own).toHaveLength(1);
  expect(chosen).toContain(own[0]?.address);
  expect(own[0]?.head).toEqual(told.rewritten && headOf(told.rewritten));
  expect(ok.attempts.filter(isMirror)).toHaveLength(told.mirrors.length);
  compareHeaders(ok.response, told);
  await compareFailures(both, asked, told);
}

/** Where only one thing is done to a header: how several levels of a route go together is not told. */
function compareHeaders(response: Response | undefined, { responseHeaders }: RequestExplanation): void {
  const { set, add, remove } = responseHeaders;
  const touched = [...[...set, ...add].map(([name]) => name), ...remove];
  const isAlone = (name: string) => touched.filter((one) => one === name).length === 1;
  const valuesOf = (wanted: string) =>
    [...(response?.headers ?? [])].flatMap(([name, value]) => (name === wanted ? [value] : []));
  for (const [name, value] of set) if (isAlone(name)) expect(valuesOf(name), name).toEqual([value]);
  for (const [name, value] of add) if (isAlone(name)) expect(valuesOf(name), name).toContain(value);
  for (const name of remove) if (isAlone(name)) expect(valuesOf(name), name).toEqual([]);
}

function abortOf({ filters, outcome }: RequestExplanation): number | undefined {
  if (outcome !== 'forwarded' && outcome !== 'refused') return undefined;
  for (const { config } of filters) {
    const text = JSON.stringify(config);
    if (/"http_status":418/.test(text) && /"numerator":(100|1000000)\b/.test(text)) return 418;
  }
  return undefined;
}

/** Retries, and the time limit over all of them. */
async function compareFailures(
  both: BothSides,
  asked: Asked,
  { retries: policy, timeouts }: RequestExplanation,
) {
  const isRetried =
    policy !== null &&
    (policy.retryOn.some((one) => one === '5xx' || one === 'gateway-error') ||
      (policy.retryOn.includes('retriable-status-codes') && policy.retriableStatusCodes.includes(503)));
  const failing = await live(both.live, asked, 'failing');
  expect(failing?.attempts.filter((one) => !isMirror(one))).toHaveLength(
    isRetried ? 1 + policy.numRetries : 1,
  );
  const hanging = await live(both.live, asked, 'hanging');
  const requestMs = timeouts?.requestMs ?? 0;
  const perTryMs = timeouts?.perTryMs ?? undefined;
  if (requestMs > 0 && (perTryMs === undefined || perTryMs >= requestMs)) {
    expect(hanging).toMatchObject({ endedAtMs: requestMs, response: { status: 504 } });
  } else if (requestMs === 0 && perTryMs === undefined) {
    expect(hanging?.endedAtMs).toBe(-1);
  }
}

test('what is told of a request is what a client does with it', async () => {
  await fc.assert(
    fc.asyncProperty(
      virtualService,
      fc.oneof(
        destinationRule,
        fc.tuple(destinationRule, httpRoute).map((both) => both.join('')),
      ),
      fc.array(request, { minLength: 1, maxLength: 4 }),
      async (routes, more, requests) => {
        const both = bothSides(`${SERVICES}${routes}${more}`, WORKLOADS);
        for (const asked of requests) await compareWith(both, asked);
      },
    ),
    { numRuns: 40 },
  );
});
