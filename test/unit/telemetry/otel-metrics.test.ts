import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createExchange } from '../../../src/service/context.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Observer } from '../../../src/service/observer.js';
import { loadOtelMetrics } from '../../../src/telemetry/otel-metrics.js';
import { makeRequest, openResponse } from '../filters/support.js';

const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 60_000 });
let observer: Observer;

beforeAll(async () => {
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  observer = await loadOtelMetrics('1.0.0');
});
afterAll(async () => {
  await reader.shutdown();
  metrics.disable();
});

test('durations of both directions go to OpenTelemetry’s histograms, in seconds', async () => {
  const outbound = makeRequest({ authority: 'reviews:9080' });
  observer.exchange?.(outbound, { status: 503, error: undefined, durationMs: 30, response: undefined });
  const inbound = { ...makeRequest(), context: createExchange('inbound', 0, 0) };
  observer.exchange?.(inbound, { status: 404, error: undefined, durationMs: 2, response: undefined });
  await reader.forceFlush();
  const [{ metrics: found } = { metrics: [] }] = exporter.getMetrics().at(-1)?.scopeMetrics ?? [];
  const points = Object.fromEntries(
    found.map(({ descriptor, dataPoints: [point] }) => [
      `${descriptor.name} ${descriptor.unit}`,
      [point?.attributes, (point?.value as { sum: number } | undefined)?.sum],
    ]),
  );
  expect(points).toEqual({
    'http.client.request.duration s': [
      {
        'http.request.method': 'GET',
        'server.address': 'reviews',
        'server.port': 9080,
        'http.response.status_code': 503,
        'error.type': '503',
      },
      0.03,
    ],
    'http.server.request.duration s': [
      { 'http.request.method': 'GET', 'url.scheme': 'http', 'http.response.status_code': 404 },
      0.002,
    ],
  });
});

test('durations of gRPC calls go to those of the RPC conventions, in milliseconds, with their status', async () => {
  const header = { 'content-type': 'application/grpc' };
  const call = makeRequest({ method: 'POST', authority: 'shop:50051', path: '/pkg.Shop/Buy', header });
  const response = openResponse(200);
  response.completion.settle(HeaderMap.from([['grpc-status', '8']]));
  observer.exchange?.(call, { status: 200, error: undefined, durationMs: 30, response });
  await reader.forceFlush();
  const found = exporter.getMetrics().at(-1)?.scopeMetrics[0]?.metrics ?? [];
  const rpc = found.find(({ descriptor }) => descriptor.name === 'rpc.client.duration');
  expect(rpc?.descriptor.unit).toBe('ms');
  expect(rpc?.dataPoints[0]?.attributes).toEqual({
    'rpc.system': 'grpc',
    'rpc.service': 'pkg.Shop',
    'rpc.method': 'Buy',
    'rpc.grpc.status_code': 8,
    'server.address': 'shop',
    'server.port': 50051,
    'error.type': 'RESOURCE_EXHAUSTED',
  });
});
