import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { seededRandom } from '../../../src/runtime/random.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Filter } from '../../../src/service/service.js';
import { loadSpans, type Spans } from '../../../src/telemetry/spans.js';
import { makeRequest, makeResponse, openResponse } from '../filters/support.js';

const exporter = new InMemorySpanExporter();
let loaded: Spans;
let spans: Filter;

beforeAll(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  );
  loaded = await loadSpans({ version: '1.0.0', origin: { nodeId: 'n', zone: '' }, random: seededRandom(1) });
  spans = loaded.client();
});
beforeEach(() => exporter.reset());
afterAll(() => {
  trace.disable();
  propagation.disable();
  context.disable();
});

describe('spans', () => {
  test('an exchange is one client span with OpenTelemetry’s attributes', async () => {
    const request = makeRequest({ path: '/reviews/0?x=1' });
    request.context.attemptCount = 3;
    await spans(request, async () => makeResponse(200));
    const [span] = exporter.getFinishedSpans();
    expect([span?.name, span?.kind]).toEqual(['GET', SpanKind.CLIENT]);
    expect(span?.attributes).toMatchObject({
      'http.request.method': 'GET',
      'server.address': 'reviews',
      'server.port': 9080,
      'url.full': 'http://reviews:9080/reviews/0?x=1',
      'http.response.status_code': 200,
      'http.request.resend_count': 2,
    });
  });

  test('a gRPC call is named by its method, and its status comes with the trailers', async () => {
    const header = { 'content-type': 'application/grpc' };
    const response = openResponse(200);
    const call = makeRequest({ method: 'POST', path: '/pkg.Shop/Buy', authority: 'shop:50051', header });
    await spans(call, async () => response);
    response.completion.settle(HeaderMap.from([['grpc-status', '14']]));
    const [span] = exporter.getFinishedSpans();
    expect(span?.name).toBe('pkg.Shop/Buy');
    expect(span?.status.code).toBe(SpanStatusCode.ERROR);
    expect(span?.attributes).toMatchObject({
      'rpc.system': 'grpc',
      'rpc.service': 'pkg.Shop',
      'rpc.method': 'Buy',
      'rpc.grpc.status_code': 14,
      'error.type': 'UNAVAILABLE',
      'server.port': 50051,
    });
  });

  test('the trace context goes upstream, as a child of the active span', async () => {
    const request = makeRequest();
    const parent = trace.getTracer('test').startSpan('parent');
    await context.with(trace.setSpan(context.active(), parent), () =>
      spans(request, async () => makeResponse(200)),
    );
    const [span] = exporter.getFinishedSpans();
    const { traceId, spanId } = span?.spanContext() ?? { traceId: '', spanId: '' };
    expect(traceId).toBe(parent.spanContext().traceId);
    expect(request.headers.get('traceparent')).toBe(`00-${traceId}-${spanId}-01`);
  });

  test('it ends with the body, not with the head', async () => {
    const response = openResponse(200);
    await spans(makeRequest(), async () => response);
    expect(exporter.getFinishedSpans()).toHaveLength(0);
    response.completion.settle();
    expect(exporter.getFinishedSpans()).toHaveLength(1);
  });

  test('a failing status and a failure are errors', async () => {
    await spans(makeRequest(), async () => makeResponse(503));
    const failing = spans(makeRequest(), () => Promise.reject(new TypeError('refused')));
    await expect(failing).rejects.toThrow('refused');
    const finished = exporter.getFinishedSpans();
    expect(finished.map(({ status }) => status.code)).toEqual([SpanStatusCode.ERROR, SpanStatusCode.ERROR]);
    expect(finished.map(({ attributes }) => attributes['error.type'])).toEqual(['503', 'TypeError']);
  });

  test('each of several attempts is an event', async () => {
    const request = makeRequest();
    const one = { host: '10.0.0.1:80', chosenBy: 'random', startMs: 0, error: undefined, durationMs: 2 };
    request.context.attempts = [
      { ...one, number: 1, status: 503 },
      { ...one, number: 2, status: 200 },
    ];
    await spans(request, async () => makeResponse(200));
    const [span] = exporter.getFinishedSpans();
    expect(
      span?.events.map(({ name, attributes }) => [name, attributes?.['http.response.status_code']]),
    ).toEqual([
      ['inmesh.attempt', 503],
      ['inmesh.attempt', 200],
    ]);
  });

  test('what others trace while the mesh sends is not recorded', async () => {
    const tracer = trace.getTracer('instrumentation');
    await spans(makeRequest(), async () => {
      tracer.startSpan('GET').end();
      return makeResponse(200);
    });
    expect(exporter.getFinishedSpans()).toHaveLength(1);
  });

  test('a server span continues the caller’s trace and is current for the application', () => {
    const request = makeRequest({ path: '/a?b=1' });
    request.headers.append('traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
    let current: string | undefined;
    loaded.scope(request, () => {
      current = trace.getActiveSpan()?.spanContext().spanId;
    });
    loaded.observer.exchange?.(request, {
      status: 503,
      error: undefined,
      durationMs: 1,
      response: undefined,
    });
    const [span] = exporter.getFinishedSpans();
    expect(span?.spanContext().traceId).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
    expect(span?.parentSpanContext?.spanId).toBe('00f067aa0ba902b7');
    expect([span?.kind, span?.spanContext().spanId]).toEqual([SpanKind.SERVER, current]);
    expect(span?.attributes).toMatchObject({
      'url.path': '/a',
      'url.query': 'b=1',
      'http.response.status_code': 503,
      'error.type': '503',
    });
  });
});
