import * as grpc from '@grpc/grpc-js';
import { context, propagation, SpanKind, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { meshClient } from '../../../src/grpc.js';
import type { Mesh } from '../../../src/index.js';
import { World } from '../mesh/features-world.js';
import { eventually } from '../mesh/support.js';
import type { SimpleResponse } from './interop-messages.js';
import { TestClient } from './interop-service.js';
import { bareClient, type GrpcMember, metadataOf, serveGrpc } from './server-support.js';

/** `client` calls `middle`, whose handlers call `echo`. */
let world: World;
let client: TestClient;
let middle: GrpcMember;
let echo: GrpcMember;
const spans = new InMemorySpanExporter();
const seen: { metadata: grpc.Metadata; deadline: grpc.Deadline }[] = [];

beforeAll(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }),
  );
  world = await World.start('');
  echo = await serveGrpc(world, {
    mesh: { service: 'echo' },
    handlers: {
      emptyCall(call: grpc.ServerUnaryCall<object, object>, callback: grpc.sendUnaryData<object>) {
        seen.push({ metadata: call.metadata, deadline: call.getDeadline() });
        callback(null, {});
      },
    },
  });
  const further: { client?: TestClient } = {};
  const ask = (done: (error: grpc.ServiceError | null) => void) =>
    further.client?.emptyCall({}, new grpc.Metadata(), {}, done);
  middle = await serveGrpc(world, {
    mesh: { service: 'middle', tracing: true },
    handlers: {
      unaryCall(_call: grpc.ServerUnaryCall<object, object>, callback: grpc.sendUnaryData<object>) {
        ask((error) => callback(error, {}));
      },
      streamingInputCall(
        call: grpc.ServerReadableStream<object, object>,
        callback: grpc.sendUnaryData<object>,
      ) {
        call.resume();
        call.on('end', () => ask((error) => callback(error, {})));
      },
      streamingOutputCall(call: grpc.ServerWritableStream<object, object>) {
        setTimeout(() => ask(() => call.end()), 1);
      },
      fullDuplexCall(call: grpc.ServerDuplexStream<object, object>) {
        call.on('data', () => ask(() => call.end()));
      },
    },
  });
  further.client = meshClient(middle.mesh, TestClient, 'echo');
  const mesh = await world.join();
  client = meshClient(mesh, TestClient, 'middle');
  world.onClose(async () => {
    further.client?.close();
    client.close();
  });
});

afterAll(async () => {
  await world.close();
  trace.disable();
  propagation.disable();
  context.disable();
});

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const LONG_MS = 20_000;

type Options = { readonly metadata: grpc.Metadata; readonly options: grpc.CallOptions };

const KINDS: readonly (readonly [string, (options: Options, done: (error: unknown) => void) => void])[] = [
  ['unary', ({ metadata, options }, done) => void client.unaryCall({}, metadata, options, done)],
  [
    'client streaming',
    ({ metadata, options }, done) => {
      const call = client.streamingInputCall(metadata, options, done);
      call.write({});
      call.end();
    },
  ],
  [
    'server streaming',
    ({ metadata, options }, done) => {
      const call = client.streamingOutputCall({}, metadata, options);
      call.on('data', () => {});
      call.on('error', done);
      call.on('end', () => done(null));
    },
  ],
  [
    'bidirectional',
    ({ metadata, options }, done) => {
      const call = client.fullDuplexCall(metadata, options);
      call.write({});
      call.on('data', () => {});
      call.on('error', done);
      call.on('end', () => done(null));
    },
  ],
];

describe.each(KINDS)('what a handler calls while it works for a call (%s)', (_kind, start) => {
  const call = (entries: Record<string, string>, options: grpc.CallOptions) =>
    new Promise<unknown>((resolve) => start({ metadata: metadataOf(entries), options }, resolve));

  test('has the rest of its deadline, and its trace', async () => {
    seen.length = 0;
    spans.reset();
    const deadline = Date.now() + LONG_MS;
    expect(await call({ traceparent: TRACEPARENT }, { deadline })).toBe(null);
    const [further] = seen;
    expect(Number(further?.deadline)).toBeLessThan(deadline + LONG_MS / 2);
    expect(Number(further?.deadline)).toBeGreaterThan(deadline - LONG_MS / 2);
    const [, traceId] = String(further?.metadata.get('traceparent')[0]).split('-');
    expect(traceId).toBe(TRACEPARENT.split('-')[1]);
  });

  test('has none where the call has none', async () => {
    seen.length = 0;
    expect(await call({}, {})).toBe(null);
    expect(seen[0]?.deadline).toBe(Number.POSITIVE_INFINITY);
  });
});

test('a call has a span of OpenTelemetry with the names of RPC, around its handler', async () => {
  spans.reset();
  await new Promise((resolve) => client.unaryCall({}, metadataOf({ traceparent: TRACEPARENT }), {}, resolve));
  const finished = await eventually('the server span', () => {
    const all = spans.getFinishedSpans();
    return all.some(({ kind, name }) => kind === SpanKind.SERVER && name.endsWith('/UnaryCall')) && all;
  });
  const server = finished.find(({ kind, name }) => kind === SpanKind.SERVER && name.endsWith('/UnaryCall'));
  const further = finished.findLast(({ kind }) => kind === SpanKind.CLIENT);
  expect(server?.name).toBe('grpc.testing.TestService/UnaryCall');
  expect(server?.attributes).toMatchObject({
    'rpc.system': 'grpc',
    'rpc.service': 'grpc.testing.TestService',
    'rpc.method': 'UnaryCall',
    'rpc.grpc.status_code': 0,
    'inmesh.peer.id': 'spiffe://cluster.local/ns/default/sa/default',
  });
  expect(server?.parentSpanContext?.traceId).toBe(TRACEPARENT.split('-')[1]);
  expect(further?.parentSpanContext?.spanId).toBe(server?.spanContext().spanId);
});

test('each side knows who the other is', async () => {
  await new Promise((resolve) => client.unaryCall({}, new grpc.Metadata(), {}, resolve));
  const line = (mesh: Mesh, reporter: string) =>
    mesh
      .metrics()
      .split('\n')
      .find(
        (one) => one.startsWith(`istio_requests_total{reporter="${reporter}"`) && one.includes('_status="0"'),
      );
  const destination = await eventually('it is counted', () => line(middle.mesh, 'destination'));
  expect(destination).toContain('source_workload="client"');
  expect(destination).toContain('destination_workload="middle"');
  expect(destination).toContain('connection_security_policy="mutual_tls"');
  expect(destination).toContain('request_protocol="grpc"');
  expect(line(middle.mesh, 'source')).toContain('destination_workload="echo"');
});

describe("what grpc-js brings along, and a service of one's own", () => {
  test('channelz sees the server, its ports and its calls', async () => {
    const { server, port } = await serveGrpc(world, { mesh: { service: 'seen' } });
    grpc.addAdminServicesToServer(server);
    const caller = bareClient(world, port);
    await new Promise((resolve) => caller.emptyCall({}, new grpc.Metadata(), {}, resolve));
    const { GetServers, GetServerSockets } = grpc.getChannelzServiceDefinition();
    const ask = (method: grpc.MethodDefinition<never, never>, request: object) =>
      new Promise<Record<string, unknown>>((resolve, reject) => {
        caller.makeUnaryRequest(
          method.path,
          method.requestSerialize as (value: object) => Buffer,
          method.responseDeserialize as (bytes: Buffer) => Record<string, unknown>,
          request,
          (error, answer) => (answer === undefined ? reject(error) : resolve(answer)),
        );
      });
    const { server: servers } = await ask(GetServers as never, { start_server_id: 0, max_results: 100 });
    const own = (
      servers as {
        ref: { server_id: string };
        data: { calls_succeeded: string };
        listen_socket: { name: string }[];
      }[]
    ).find(({ listen_socket: sockets }) => sockets.some(({ name }) => name.endsWith(`:${port}`)));
    expect(Number(own?.data.calls_succeeded)).toBeGreaterThan(0);
    const { socket_ref: sockets } = await ask(GetServerSockets as never, {
      server_id: own?.ref.server_id,
      start_socket_id: 0,
      max_results: 100,
    });
    expect(sockets).toHaveLength(1);
  });

  test('interceptors of the application run as ever, inside of the mesh', async () => {
    const order: string[] = [];
    const { port } = await serveGrpc(world, {
      mesh: { service: 'own' },
      interceptors: [
        (method, call) => {
          order.push(`${method.path} ${call.getHost()}`);
          return new grpc.ServerInterceptingCall(call);
        },
      ],
    });
    await new Promise((resolve) => bareClient(world, port).emptyCall({}, new grpc.Metadata(), {}, resolve));
    expect(order).toEqual([`/grpc.testing.TestService/EmptyCall 127.0.0.1:${port}`]);
  });

  test('an answer may be larger than any window', async () => {
    const size = 3_000_000;
    const answer = await new Promise<SimpleResponse | undefined>((resolve) => {
      bareClient(world, echo.port).unaryCall(
        { responseSize: size },
        new grpc.Metadata(),
        {},
        (_error, value) => resolve(value),
      );
    });
    expect(answer?.payload?.body?.byteLength).toBe(size);
  });
});
