import { context, propagation, type Span, SpanKind, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { HttpConnectionManager } from '../../../src/model/listener.js';
import type { FractionalPercent } from '../../../src/model/percent.js';
import type { HttpTracing, RouteTracing } from '../../../src/model/tracing.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Request } from '../../../src/service/service.js';
import { loadSpans, type Spans } from '../../../src/telemetry/spans.js';
import { type DecisionRules, decidesToTrace } from '../../../src/telemetry/trace-decision.js';
import { tracePlan } from '../../../src/telemetry/trace-plan.js';
import { TRACING, ZIPKIN } from '../codec/samples.js';
import { makeRequest, makeResponse } from '../filters/support.js';

const ALL: FractionalPercent = { numerator: 10_000, denominator: 10_000 };
const NONE: FractionalPercent = { numerator: 0, denominator: 10_000 };
const HALF: FractionalPercent = { numerator: 5_000, denominator: 10_000 };

const RULES: DecisionRules = {
  sampling: { client: { numerator: 100, denominator: 100 }, random: NONE, overall: ALL },
  requestIds: { packsTraceReason: true, decidesTracing: true },
  makesIds: false,
};

describe('the decision to trace', () => {
  const decide = (lines: readonly [string, string][], rules: Partial<DecisionRules> = {}) => {
    const headers = HeaderMap.from(lines);
    const isTraced = decidesToTrace(headers, { ...RULES, ...rules }, seededRandom(1));
    return [isTraced, headers.get('x-request-id')];
  };
  const id = (digits: string, reason = '4') => `${digits}-0000-${reason}000-8000-000000000000`;
  const sampling = (random: FractionalPercent, overall = ALL) => ({
    sampling: { ...RULES.sampling, random, overall },
  });

  test('goes by the id of the request, and is written into it', () => {
    // 0x1387 = 4999, 0x1388 = 5000.
    expect(decide([['x-request-id', id('00001387')]], sampling(HALF))).toEqual([true, id('00001387', '9')]);
    expect(decide([['x-request-id', id('00001388')]], sampling(HALF))).toEqual([false, id('00001388')]);
  });

  test('whoever decided before is followed', () => {
    for (const reason of ['9', 'a', 'b']) {
      expect(decide([['x-request-id', id('00000000', reason)]])).toEqual([true, id('00000000', reason)]);
    }
  });

  test('may be asked for, by clients and by services', () => {
    const own: [string, string] = ['x-request-id', id('00000001')];
    expect(decide([own, ['x-client-trace-id', '7']])).toEqual([true, id('00000001', 'b')]);
    expect(decide([own, ['x-envoy-force-trace', 'true']])).toEqual([true, id('00000001', 'a')]);
    const never = { sampling: { ...RULES.sampling, client: { numerator: 0, denominator: 100 } as const } };
    expect(decide([own, ['x-client-trace-id', '7']], never)).toEqual([false, id('00000001')]);
  });

  test('the overall share takes back what the others chose', () => {
    expect(decide([['x-request-id', id('00000001', 'a')]], sampling(ALL, NONE))).toEqual([
      false,
      id('00000001'),
    ]);
  });

  test('an id that is none is never traced, and without packing it stays as it is', () => {
    expect(decide([], sampling(ALL))[0]).toBe(false);
    expect(decide([['x-request-id', 'zzzzzzzz']], sampling(ALL))[0]).toBe(false);
    const unpacked = {
      ...sampling(ALL),
      requestIds: { packsTraceReason: false, decidesTracing: true },
    };
    expect(decide([['x-request-id', id('00000001')]], unpacked)).toEqual([true, id('00000001')]);
    // Short ids draw, but have no place for a reason.
    expect(decide([['x-request-id', '00000001']], sampling(ALL))).toEqual([true, '00000001']);
  });

  test('may be left to the tracer', () => {
    expect(decide([], { requestIds: { packsTraceReason: true, decidesTracing: false } })[0]).toBe(true);
  });

  test('requests without an id get one', () => {
    const [isTraced, made] = decide([], { ...sampling(ALL), makesIds: true });
    expect(isTraced).toBe(true);
    expect(made).toMatch(/^[\da-f]{8}-[\da-f]{4}-9[\da-f]{3}-/);
  });
});

const exporter = new InMemorySpanExporter();
let spans: Spans;

const TOOLS = { clock: { now: () => 0, wallTime: () => 0 }, env: { POD: 'pod-1' }, hostname: 'host' };
const PLAIN: HttpTracing = {
  sampling: { client: { numerator: 100, denominator: 100 }, random: ALL, overall: ALL },
  maxPathTagLength: 6,
  customTags: [],
  spawnUpstreamSpan: false,
  noContextPropagation: false,
  provider: undefined,
};

const planOf = (tracing: Partial<HttpTracing>, route?: Parameters<typeof tracePlan>[1]) => {
  const http: HttpConnectionManager = {
    routes: { kind: 'rds', name: 'r' },
    filters: [],
    tracing: { ...PLAIN, ...tracing },
  };
  const plan = tracePlan(http, route, TOOLS);
  if (plan === undefined) throw new Error('no plan');
  return plan;
};

const call = async (request: Request, plan = planOf({}), status = 200) => {
  await spans.client(plan)(request, async () => makeResponse(status));
  return exporter.getFinishedSpans();
};

describe('spans that the control plane asks for', () => {
  beforeAll(async () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager());
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    trace.setGlobalTracerProvider(
      new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    );
    spans = await loadSpans({
      version: '1',
      origin: { nodeId: 'node-1', zone: 'zone-a' },
      random: seededRandom(2),
    });
  });
  beforeEach(() => exporter.reset());
  afterAll(() => {
    trace.disable();
    propagation.disable();
    context.disable();
  });

  test('have Envoy’s tags', async () => {
    const request = makeRequest({ path: '/reviews/0?x=1', header: { 'user-agent': 'curl' } });
    Object.assign(request.context, { clusterName: 'reviews', upstreamHost: '10.0.0.1:80', flags: ['URX'] });
    const [span] = await call(request, planOf({}), 503);
    expect(span?.attributes).toMatchObject({
      component: 'proxy',
      node_id: 'node-1',
      zone: 'zone-a',
      'http.method': 'GET',
      'http.url': 'http://reviews:9080/revie',
      'http.status_code': '503',
      'guid:x-request-id': request.headers.get('x-request-id'),
      upstream_cluster: 'reviews',
      'upstream_cluster.name': 'reviews',
      upstream_address: '10.0.0.1:80',
      response_flags: 'URX',
      user_agent: 'curl',
      downstream_cluster: '-',
      error: 'true',
    });
  });

  test('have the tags that are configured, those of the route first', async () => {
    const request = makeRequest({ header: { 'x-user': 'ann' } });
    request.context.dynamicMetadata = new Map([['envoy.filters.http.rbac', { policy: { id: 7 } }]]);
    const route: RouteTracing = {
      sampling: PLAIN.sampling,
      customTags: [{ tag: 'zone', source: { kind: 'literal', value: 'own' } }],
    };
    const [span] = await call(
      request,
      planOf({ customTags: TRACING.customTags }, { tracing: route, decorator: undefined }),
    );
    expect(span?.attributes).toMatchObject({
      zone: 'own',
      pod: 'pod-1',
      user: 'ann',
      host: 'reviews:9080',
      policy: '{"id":7}',
    });
    exporter.reset();
    const [bare] = await call(makeRequest(), planOf({ customTags: TRACING.customTags }));
    expect(Object.keys(bare?.attributes ?? {})).not.toContain('user');
  });

  test('are named by the operation, else by the decorator, which the other side hears of', async () => {
    const decorator = { operation: 'reviews:9080/*', propagate: true };
    const request = makeRequest();
    await call(request, planOf({}, { decorator, tracing: undefined }));
    expect(request.headers.get('x-envoy-decorator-operation')).toBe('reviews:9080/*');
    await call(
      makeRequest({ path: '/x' }),
      planOf({ operation: 'at %REQ(:path)%' }, { decorator, tracing: undefined }),
    );
    expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(['reviews:9080/*', 'at /x']);
  });

  test('what is not sampled is not reported, and those who follow do not decide anew', async () => {
    const request = makeRequest();
    expect(await call(request, planOf({ sampling: { ...PLAIN.sampling, random: NONE } }))).toEqual([]);
    expect(request.headers.get('traceparent')).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-00$/);
  });

  test('the trace of the request goes before the sampling', async () => {
    const traced = (flags: string) =>
      makeRequest({
        header: { traceparent: `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-${flags}` },
      });
    const never = planOf({ sampling: { ...PLAIN.sampling, random: NONE } });
    const [span] = await call(traced('01'), never);
    expect(span?.parentSpanContext?.spanId).toBe('00f067aa0ba902b7');
    exporter.reset();
    const unsampled = traced('00');
    expect(await call(unsampled)).toEqual([]);
    expect(unsampled.headers.get('traceparent')).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-.*-00$/);
  });

  test('Zipkin’s headers go with Zipkin’s provider, and with W3C’s where it says so', async () => {
    const request = makeRequest({
      header: {
        'x-b3-traceid': '463ac35c9f6413ad',
        'x-b3-spanid': 'a2fb4a1d1a96d312',
        'x-b3-sampled': '1',
      },
    });
    const [span] = await call(request, planOf({ provider: ZIPKIN }));
    const { traceId = '', spanId = '' } = span?.spanContext() ?? {};
    expect(traceId).toBe('0000000000000000463ac35c9f6413ad');
    expect([request.headers.get('x-b3-traceid'), request.headers.get('x-b3-spanid')]).toEqual([
      traceId,
      spanId,
    ]);
    expect(request.headers.get('traceparent')).toBe(`00-${traceId}-${spanId}-01`);
    const plain = makeRequest({ header: { b3: '463ac35c9f6413ad-a2fb4a1d1a96d312-0' } });
    await call(plain, planOf({ provider: { ...ZIPKIN, withW3c: false } }));
    expect([plain.headers.get('x-b3-sampled'), plain.headers.has('traceparent')]).toEqual(['0', false]);
  });

  test('without propagation the request says nothing', async () => {
    const request = makeRequest();
    expect(await call(request, planOf({ noContextPropagation: true }))).toHaveLength(1);
    expect(request.headers.has('traceparent')).toBe(false);
  });

  test('each attempt may have a span, which is the parent of what comes of it', async () => {
    const request = makeRequest();
    const plan = planOf({ spawnUpstreamSpan: true, upstreamOperation: 'try %REQ(:method)%' });
    await spans.client(plan)(request, async () => {
      const attempt = {
        number: 2,
        host: '10.0.0.1:80',
        chosenBy: 'random',
        startMs: 0,
        status: 200,
        error: undefined,
        durationMs: 1,
      };
      request.context.trace?.attempt?.(request.headers, attempt, 'reviews')(attempt, undefined);
      return makeResponse(200);
    });
    const [one, whole] = exporter.getFinishedSpans();
    expect([one?.name, one?.kind, whole?.kind]).toEqual(['try GET', SpanKind.CLIENT, SpanKind.INTERNAL]);
    expect(one?.parentSpanContext?.spanId).toBe(whole?.spanContext().spanId);
    expect(request.headers.get('traceparent')).toContain(one?.spanContext().spanId);
    expect(one?.attributes).toMatchObject({
      'retry.count': '1',
      'upstream_cluster.name': 'reviews',
      'peer.address': '10.0.0.1:80',
      'http.status_code': '200',
    });
  });

  test('a server span begins before the filters, takes the caller’s name for it, and covers the application', async () => {
    const request = makeRequest({
      header: { 'x-envoy-decorator-operation': 'cart:80/*', 'x-envoy-force-trace': 'true' },
    });
    Object.assign(request.context, { direction: 'inbound' });
    let current: Span | undefined;
    await spans.server(planOf({}))(request, async () => {
      spans.scope(request, () => {
        current = trace.getActiveSpan();
      });
      return makeResponse(403);
    });
    const end = { status: 403, error: undefined, durationMs: 1, response: makeResponse(403) };
    spans.observer.exchange?.(request, end);
    const [span] = exporter.getFinishedSpans();
    expect([span?.name, span?.kind]).toEqual(['cart:80/*', SpanKind.SERVER]);
    expect(span?.spanContext().spanId).toBe(current?.spanContext().spanId);
    expect(request.headers.has('x-envoy-decorator-operation')).toBe(false);
    expect(span?.attributes).toMatchObject({ 'http.status_code': '403', 'http.response.status_code': 403 });
  });

  test('a process that reports nothing does nothing', async () => {
    trace.disable();
    const request = makeRequest();
    await call(request);
    expect([...request.headers]).toEqual([...makeRequest().headers]);
  });
});
