import { context, propagation, SpanKind, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Mesh } from '../../../src/index.js';
import { answerOf, World } from './features-world.js';

/** For a machine that is busy. */
const PATIENT = { timeout: 20_000 };

const exporter = new InMemorySpanExporter();
let world: World;

const mesh = (sampling: number) => `apiVersion: inmesh.dev/v1
kind: MeshConfig
metadata: {name: mesh, namespace: istio-system}
spec:
  extensionProviders: [{name: otel, opentelemetry: {service: otel.default.svc.cluster.local, port: 4317}}]
  defaultProviders: {tracing: [otel]}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec:
  tracing:
  - randomSamplingPercentage: ${sampling}
    customTags: {env: {literal: {value: test}}}
`;

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  );
});
afterAll(async () => {
  trace.disable();
  propagation.disable();
  context.disable();
  await world.close();
});

test('a call over two services is one trace where the mesh samples it, and none where it does not', async () => {
  world = await World.start(mesh(100));
  await world.serve({ service: 'back' }, (request, response) => {
    response.end(JSON.stringify(request.headers));
  });
  const middle: { mesh?: Mesh } = {};
  const member = await world.serve({ service: 'middle' }, (_request, response) => {
    void middle.mesh
      ?.fetch('http://back/')
      .then((answer) => answer.text())
      .then((text) => response.end(text));
  });
  middle.mesh = member.mesh;
  const client = await world.join();
  const call = async () => {
    exporter.reset();
    const [status, body] = await answerOf(client.fetch('http://middle/'));
    expect(status).toBe(200);
    return JSON.parse(body) as Record<string, string>;
  };

  const seen = await call();
  // The last spans end when the bodies are through on both sides.
  await expect.poll(() => exporter.getFinishedSpans(), PATIENT).toHaveLength(4);
  const spans = exporter.getFinishedSpans();
  const traceId = spans[0]?.spanContext().traceId;
  expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(new Set([traceId]));
  expect(seen['traceparent']).toContain(traceId);
  // From the root to the leaf, each is the child of the one before.
  const chain = [spans.find(({ parentSpanContext }) => parentSpanContext === undefined)];
  for (let i = 0; i < 3; i++) {
    const id = chain.at(-1)?.spanContext().spanId;
    chain.push(spans.find(({ parentSpanContext }) => parentSpanContext?.spanId === id));
  }
  expect(
    chain.map((span) => [span?.kind, span?.attributes['istio.canonical_service'], span?.attributes['env']]),
  ).toEqual([
    [SpanKind.CLIENT, 'client', 'test'],
    [SpanKind.SERVER, 'middle', 'test'],
    [SpanKind.CLIENT, 'middle', 'test'],
    [SpanKind.SERVER, 'back', 'test'],
  ]);
  expect(chain[0]?.attributes).toMatchObject({
    component: 'proxy',
    'http.status_code': '200',
    'upstream_cluster.name': 'outbound|80||middle.default.svc.cluster.local',
  });
  // The decision stands in the request's id, which goes all the way.
  expect(seen['x-request-id']?.charAt(14)).toBe('9');

  world.configure(mesh(0));
  let traceparent = '';
  const isSampled = async () => {
    traceparent = (await call())['traceparent'] ?? '';
    return traceparent.endsWith('-01');
  };
  await expect.poll(isSampled, PATIENT).toBe(false);
  const reported = exporter.getFinishedSpans().map((span) => span.spanContext().traceId);
  expect(reported).not.toContain(traceparent.slice(3, 35));
});
