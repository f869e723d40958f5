import * as grpc from '@grpc/grpc-js';
import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { meshClient, meshServerCredentials, meshServerInterceptors } from '../../../src/grpc.js';
import type { Mesh } from '../../../src/index.js';
import { World } from '../mesh/features-world.js';
import { eventually } from '../mesh/support.js';
import { TestClient, testService, testServiceHandlers } from './interop-service.js';
import { bind, serveGrpc } from './server-support.js';
import { freePort } from './server-world.js';

// What both sides measure of every kind of call, and of calls that end otherwise than their server meant.

const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 60_000 });
let world: World;
const members = new Map<string, Mesh>();

beforeAll(async () => {
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  world = await World.start('');
  const never = () => {};
  const whole = await serveGrpc(world, {
    mesh: { service: 'whole', otelMetrics: true },
    handlers: { emptyCall: never },
  });
  const port = await freePort();
  const mesh = await world.join({ service: 'parts', leaveDelayMs: 0, otelMetrics: true });
  const server = new grpc.Server({ interceptors: meshServerInterceptors(mesh, { port }) });
  server.addService(testService, { ...testServiceHandlers(), emptyCall: never });
  world.onClose(async () => server.forceShutdown());
  await bind(server, `127.0.0.1:${port}`, meshServerCredentials(mesh));
  members.set('whole', whole.mesh).set('parts', mesh);
});
afterAll(async () => {
  await world.close();
  await reader.shutdown();
  metrics.disable();
});

/** The sum of a counter's lines that have all of these labels. */
function counted(mesh: Mesh, name: string, ...labels: readonly string[]): number {
  const lines = mesh.metrics().split('\n');
  const found = lines.filter(
    (line) => line.startsWith(`${name}{`) && labels.every((one) => line.includes(one)),
  );
  return found.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Calls by method and status as OpenTelemetry has them. */
async function calls(name: string): Promise<Record<string, number>> {
  await reader.forceFlush();
  const all = exporter.getMetrics().at(-1)?.scopeMetrics[0]?.metrics ?? [];
  const points = all.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? [];
  const counts: Record<string, number> = {};
  for (const { attributes, value } of points) {
    const { 'rpc.method': method, 'rpc.grpc.status_code': code, 'error.type': error } = attributes;
    const key = `${String(method)} ${String(code)}${error === undefined ? '' : ` ${String(error)}`}`;
    counts[key] = (counts[key] ?? 0) + (value as { count: number }).count;
  }
  return counts;
}

/** What came on top. */
function since(before: Record<string, number>, now: Record<string, number>): Record<string, number> {
  const more = Object.entries(now).map(([key, count]) => [key, count - (before[key] ?? 0)] as const);
  return Object.fromEntries(more.filter(([, count]) => count > 0).sort());
}

const statusOf = (call: { on(event: 'status', listener: (status: grpc.StatusObject) => void): unknown }) =>
  new Promise<number>((resolve) => call.on('status', ({ code }) => resolve(code)));

describe.each(['whole', 'parts'])('calls of a server (%s)', (name) => {
  let client: TestClient;
  let caller: Mesh;
  let server: Mesh;
  beforeAll(async () => {
    caller = await world.join({ otelMetrics: true });
    client = meshClient(caller, TestClient, name);
    world.onClose(async () => client.close());
    // It is there in the map from the start.
    server = members.get(name) as Mesh;
    await eventually(
      'the caller knows it',
      async () => (await statusOf(client.unaryCall({}, new grpc.Metadata(), {}, () => {}))) === 0,
    );
  });

  test('Istio: messages of every kind of call, on both sides', async () => {
    const both = () =>
      [caller, server].map((mesh) =>
        ['istio_request_messages_total', 'istio_response_messages_total', 'istio_requests_total'].map(
          (counter) => counted(mesh, counter, 'request_protocol="grpc"', 'grpc_response_status="0"'),
        ),
      );
    const before = both();
    const ended = [];
    ended.push(statusOf(client.unaryCall({}, new grpc.Metadata(), {}, () => {})));
    const input = client.streamingInputCall(new grpc.Metadata(), {}, () => {});
    ended.push(statusOf(input));
    for (let i = 0; i < 3; i++) input.write({});
    input.end();
    const responseParameters = [{ size: 1 }, { size: 70_000 }];
    const output = client.streamingOutputCall({ responseParameters });
    ended.push(statusOf(output.resume()));
    const duplex = client.fullDuplexCall();
    ended.push(statusOf(duplex.resume()));
    for (let i = 0; i < 2; i++) duplex.write({ responseParameters });
    duplex.end();
    expect(await Promise.all(ended)).toEqual([0, 0, 0, 0]);
    const expected = [
      [1 + 3 + 1 + 2, 1 + 1 + 2 + 4, 4],
      [1 + 3 + 1 + 2, 1 + 1 + 2 + 4, 4],
    ];
    await eventually('both have counted', () => {
      const more = both().map((one, side) => one.map((count, i) => count - (before[side]?.[i] ?? 0)));
      return JSON.stringify(more) === JSON.stringify(expected);
    });
  });

  test('OpenTelemetry: every call has a status, also where no server said one', async () => {
    const before = { client: await calls('rpc.client.duration'), server: await calls('rpc.server.duration') };
    const ended = [];
    ended.push(
      statusOf(
        client.unaryCall({ responseStatus: { code: 5, message: 'no' } }, new grpc.Metadata(), {}, () => {}),
      ),
    );
    // It is never answered.
    ended.push(statusOf(client.emptyCall({}, new grpc.Metadata(), { deadline: Date.now() + 150 }, () => {})));
    const duplex = client.fullDuplexCall();
    duplex.on('error', () => {});
    ended.push(statusOf(duplex));
    duplex.write({ responseParameters: [{ size: 1 }] });
    duplex.once('data', () => duplex.cancel());
    ended.push(statusOf(client.unimplementedCall({}, new grpc.Metadata(), {}, () => {})));
    expect(await Promise.all(ended)).toEqual([5, 4, 1, 12]);
    const seen = async () => ({
      client: since(before.client, await calls('rpc.client.duration')),
      server: eitherEnd(since(before.server, await calls('rpc.server.duration'))),
    });
    // A server hears of the caller's reset or of its own deadline, whichever comes first.
    const eitherEnd = (counts: Readonly<Record<string, number>>) =>
      Object.fromEntries(
        Object.entries(counts).map(([call, count]) => [call.replace(/^(EmptyCall) 4 .*/, '$1 1'), count]),
      );
    const expected = {
      client: {
        'EmptyCall 4 DEADLINE_EXCEEDED': 1,
        'FullDuplexCall 1 CANCELLED': 1,
        'UnaryCall 5 NOT_FOUND': 1,
        'UnimplementedCall 12 UNIMPLEMENTED': 1,
      },
      server: {
        'EmptyCall 1': 1,
        'FullDuplexCall 1': 1,
        'UnaryCall 5': 1,
        // Interceptors of grpc-js do not see what no service has.
        ...(name === 'whole' && { 'UnimplementedCall 12 UNIMPLEMENTED': 1 }),
      },
    };
    await expect.poll(seen, { timeout: 5000, interval: 20 }).toEqual(expected);
  });

  test('OpenTelemetry: a server that is not there is UNAVAILABLE', async () => {
    const before = await calls('rpc.client.duration');
    const nowhere = meshClient(caller, TestClient, 'nowhere.test:80');
    world.configure(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: nowhere }
spec:
  hosts: [nowhere.test]
  ports: [{ number: 80, name: grpc, protocol: GRPC }]
  resolution: STATIC
  location: MESH_INTERNAL
  endpoints: [{ address: 127.0.0.1, ports: { grpc: 1 } }]
`);
    await eventually('it is known', () => caller.core.lookup('http://nowhere.test:80') !== undefined);
    expect(await statusOf(nowhere.unaryCall({}, new grpc.Metadata(), {}, () => {}))).toBe(14);
    nowhere.close();
    const more = since(before, await calls('rpc.client.duration'));
    expect(Object.keys(more)).toEqual([expect.stringMatching(/^UnaryCall 14 /)]);
  });
});
