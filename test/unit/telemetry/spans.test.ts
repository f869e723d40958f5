import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Filter } from '../../../src/service/service.js';
import { loadSpans } from '../../../src/telemetry/spans.js';
import { makeRequest, makeResponse, openResponse } from '../filters/support.js';

const exporter = new InMemorySpanExporter();
let spans: Filter;

beforeAll(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  );
  spans = await loadSpans('1.0.0');
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
});
