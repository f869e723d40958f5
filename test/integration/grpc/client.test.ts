import { once } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { MeshChannel } from '../../../src/bindings/grpc/channel.js';
import { meshChannelFactory, meshClient } from '../../../src/bindings/grpc/mesh-client.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { standstill } from '../support/standstill.js';
import type { StaticMesh } from '../support/static-mesh.js';
import { cluster, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';
import type { SimpleResponse } from './interop-messages.js';
import { TestClient } from './interop-service.js';
import { answer, answerOnly, frame, type Script, serveScripts } from './scripted-server.js';
import { clientOf, type GrpcWorld, grpcMesh, HTTP2, SHOP, serveInterop } from './support.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function meshOf(ports: readonly number[], world?: GrpcWorld): StaticMesh {
  const mesh = grpcMesh(ports, world);
  closers.push(() => mesh.close());
  return mesh;
}

async function interop(serverId?: string): Promise<number> {
  const { server, port } = await serveInterop(serverId);
  closers.push(() => server.forceShutdown());
  return port;
}

async function scripted(script: Script): Promise<number> {
  const server = await serveScripts({ UnaryCall: script, EmptyCall: script, FullDuplexCall: script });
  closers.push(() => server.close());
  return server.port;
}

interface Outcome {
  readonly code: grpc.status;
  readonly details: string;
  readonly answer: SimpleResponse | undefined;
}

function statusOf(call: {
  once(event: 'status', listener: (status: grpc.StatusObject) => void): unknown;
}): Promise<grpc.StatusObject> {
  return new Promise((resolve) => call.once('status', resolve));
}

/** What became of a unary call. */
function ask(
  client: TestClient,
  options: grpc.CallOptions = {},
  metadata = new grpc.Metadata(),
): Promise<Outcome> {
  return new Promise((resolve) => {
    client.unaryCall({ responseSize: 1, fillServerId: true }, metadata, options, (error, answer) =>
      resolve({ code: error?.code ?? grpc.status.OK, details: error?.details ?? '', answer }),
    );
  });
}

describe('what the mesh does not reach', () => {
  test('a host of others is called by a plain channel, as without the mesh', async () => {
    const port = await interop('outside');
    const client = meshClient(meshOf([1]), TestClient, `127.0.0.1:${port}`);
    closers.push(() => client.close());
    expect((await ask(client)).answer?.serverId).toBe('outside');
    expect(client.getChannel().getTarget()).toBe(`127.0.0.1:${port}`);
  });

  test('a service without endpoints is unavailable, and the details say why', async () => {
    const { code, details } = await ask(clientOf(meshOf([])));
    expect(code).toBe(grpc.status.UNAVAILABLE);
    expect(details).toBe('no healthy upstream (INMESH_NO_HEALTHY_UPSTREAM)');
  });

  test('an endpoint where nobody listens is unavailable', async () => {
    const { code, details } = await ask(clientOf(meshOf([1])));
    expect(code).toBe(grpc.status.UNAVAILABLE);
    expect(details).toMatch(/^INMESH_UPSTREAM_CONNECT: could not connect to 127\.0\.0\.1:1 .*ECONNREFUSED/);
  });

  test('a call without a route is unavailable (A28)', async () => {
    const mesh = meshOf([1]);
    mesh.apply(snapshotOf([host(SHOP, [])], []));
    const { code, details } = await ask(clientOf(mesh));
    expect([code, details]).toEqual([grpc.status.UNAVAILABLE, 'route_not_found (INMESH_NO_ROUTE)']);
  });
});

describe('calls that wait for ready', () => {
  const patient = () => {
    const metadata = new grpc.Metadata();
    metadata.setOptions({ waitForReady: true });
    return metadata;
  };

  test('go out when there is an endpoint', async () => {
    const port = await interop('late');
    const mesh = meshOf([]);
    const asked = ask(clientOf(mesh), {}, patient());
    mesh.apply(
      snapshotOf([host(SHOP, [forward('shop')])], [cluster('shop', [endpoint(port)], { protocol: HTTP2 })]),
    );
    expect((await asked).answer?.serverId).toBe('late');
  });

  test('end at their deadline', async () => {
    const { code, details } = await ask(clientOf(meshOf([1])), { deadline: Date.now() + 120 }, patient());
    expect(code).toBe(grpc.status.DEADLINE_EXCEEDED);
    expect(details).toMatch(/^Deadline exceeded after \d+\.\d+s,wait_for_ready/);
  });

  test('also when the service config of their channel says so, with its timeout', async () => {
    const methodConfig = [{ name: [{}], waitForReady: true, timeout: '0.1s' }];
    const client = clientOf(meshOf([1]), { 'grpc.service_config': JSON.stringify({ methodConfig }) });
    expect((await ask(client)).details).toMatch(/^Deadline exceeded after \d+\.\d+s,wait_for_ready/);
  });

  test('and when their channel closes', async () => {
    const client = clientOf(meshOf([]));
    const asked = ask(client, {}, patient());
    setTimeout(() => client.close(), 20);
    expect((await asked).details).toBe('Channel closed before call started');
  });
});

describe('before the first configuration', () => {
  function pending() {
    let configure: (error?: Error) => void = () => {};
    const configured = new Promise<void>((resolve, reject) => {
      configure = (error) => (error === undefined ? resolve() : reject(error));
    });
    let found: StaticMesh | undefined;
    const core = {
      clock: systemClock,
      random: seededRandom(1),
      lookup: (origin: string | URL) => (found === undefined ? 'unknown' : found.core.lookup(origin)),
      whenConfigured: () => configured,
    } as const;
    return {
      core,
      configure(mesh: StaticMesh | Error) {
        if (mesh instanceof Error) configure(mesh);
        else {
          found = mesh;
          configure();
        }
      },
    };
  }

  test('calls wait for it, with what was said meanwhile', async () => {
    const mesh = pending();
    const client = meshClient(mesh, TestClient, SHOP);
    const call = client.fullDuplexCall();
    call.write({ responseParameters: [{ size: 3 }] });
    call.end();
    const asked = ask(client);
    mesh.configure(meshOf([await interop('one')]));
    const [{ payload }] = await once(call, 'data');
    expect(payload.body).toHaveLength(3);
    expect((await asked).answer?.serverId).toBe('one');
  });

  test('and go out plainly when the host is none of the mesh', async () => {
    const mesh = pending();
    const port = await interop('outside');
    const client = meshClient(mesh, TestClient, `127.0.0.1:${port}`);
    closers.push(() => client.close());
    const asked = ask(client);
    mesh.configure(meshOf([1]));
    expect((await asked).answer?.serverId).toBe('outside');
  });

  test('without one they are unavailable, or over at their deadline', async () => {
    const mesh = pending();
    const client = meshClient(mesh, TestClient, SHOP);
    expect((await ask(client, { deadline: Date.now() + 30 })).code).toBe(grpc.status.DEADLINE_EXCEEDED);
    const asked = ask(client);
    mesh.configure(new Error('no control plane'));
    expect(await asked).toMatchObject({ code: grpc.status.UNAVAILABLE, details: 'no control plane' });
  });
});

describe('retries', () => {
  const POLICY = {
    retryOn: ['unavailable'],
    numRetries: 3,
    perTryTimeoutMs: undefined,
    retriableStatusCodes: [],
    baseIntervalMs: 1,
    maxIntervalMs: 2,
    avoidPreviousHosts: false,
    hostSelectionAttempts: 1,
  } as const;

  /** Fails so many times, then answers; keeps what each attempt said of the ones before. */
  function failing(times: number, failure: Script) {
    const attempts: unknown[] = [];
    const script: Script = (stream) => {
      attempts.push(stream.sentHeaders?.['grpc-previous-rpc-attempts']);
      if (attempts.length <= times) failure(stream);
      else answer({ pieces: [frame('')] })(stream);
    };
    return { attempts, script };
  }

  test('a call that was unavailable is tried again, and says how often it was', async () => {
    const said: unknown[] = [];
    const server = await serveScripts({
      UnaryCall: (stream) => {
        stream.respond({ ':status': 200, 'grpc-status': said.length < 2 ? '14' : '0' }, { endStream: true });
      },
    });
    closers.push(() => server.close());
    for (const session of server.sessions) session.on('stream', () => {});
    const mesh = meshOf([server.port], {
      action: { retryPolicy: POLICY },
      observer: { attempt: (request) => said.push(request.headers.get('grpc-previous-rpc-attempts')) },
    });
    await ask(clientOf(mesh));
    expect(said.slice(0, 3)).toEqual([undefined, '1', '2']);
  });

  test('once a head came the call is the application’s', async () => {
    const { attempts, script } = failing(
      1,
      answer({ trailers: { 'grpc-status': '14', 'grpc-message': 'too late' } }),
    );
    const mesh = meshOf([await scripted(script)], { action: { retryPolicy: POLICY } });
    expect(await ask(clientOf(mesh))).toMatchObject({ code: grpc.status.UNAVAILABLE, details: 'too late' });
    expect(attempts).toHaveLength(1);
  });

  test('what a server refused is sent again without any policy', async () => {
    const { attempts, script } = failing(1, (stream) => stream.close(7));
    const mesh = meshOf([await scripted(script)]);
    expect((await ask(clientOf(mesh))).code).toBe(grpc.status.OK);
    expect(attempts).toHaveLength(2);
  });

  test('a stream that the server did not answer is sent again with all its messages', async () => {
    const { attempts, script } = failing(1, answerOnly({ ':status': 200, 'grpc-status': '14' }));
    const bodies: Buffer[] = [];
    const port = await scripted((stream) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        bodies.push(Buffer.concat(chunks));
        script(stream);
      });
    });
    const mesh = meshOf([port], { action: { retryPolicy: POLICY } });
    const call = clientOf(mesh).fullDuplexCall();
    for (const size of [10, 20]) call.write({ payload: { body: Buffer.alloc(size, size) } });
    call.end();
    call.resume();
    const { code } = await statusOf(call);
    expect([code, attempts.length]).toEqual([grpc.status.OK, 2]);
    expect(bodies[1]).toEqual(bodies[0]);
    expect(bodies[0]?.byteLength).toBeGreaterThan(30);
  });
});

describe('limits and faults', () => {
  test('a breaker that is full makes calls unavailable', async () => {
    const limits = { maxConnections: 1, maxPendingRequests: 1, maxRequests: 0, maxRetries: 1 };
    const mesh = meshOf([await interop()], {
      change: { circuitBreakers: { default: limits, high: limits } as never },
    });
    const { code, details } = await ask(clientOf(mesh));
    expect(code).toBe(grpc.status.UNAVAILABLE);
    expect(details).toMatch(/overflow \(INMESH_OVERFLOW\)$/);
  });

  test('the route’s time limit ends a call that has no deadline', async () => {
    const mesh = meshOf([await scripted(() => {})], { action: { timeoutMs: 30 } });
    const { code, details } = await ask(clientOf(mesh));
    expect(code).toBe(grpc.status.DEADLINE_EXCEEDED);
    expect(details).toBe('upstream request timeout (INMESH_TIMEOUT)');
  });

  test('messages above the channel’s limits are not sent, and not taken', async () => {
    const mesh = meshOf([await interop()]);
    const small = clientOf(mesh, { 'grpc.max_send_message_length': 3 });
    expect((await ask(small)).details).toBe('Attempted to send message with a size larger than 3');
    const tight = clientOf(mesh, { 'grpc.max_receive_message_length': 4 });
    expect((await ask(tight)).code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  });
});

describe('what the server sees', () => {
  test('the deadline, the application’s agent, and metadata; names of the protocol only from the protocol', async () => {
    const seen: grpc.Metadata[] = [];
    const { server, port } = await serveInterop();
    closers.push(() => server.forceShutdown());
    server.addService({ tell: { ...PLAIN, path: '/test.Tell/Tell' } } as grpc.ServiceDefinition, {
      tell(call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
        seen.push(call.metadata);
        callback(null, Buffer.from(String(Math.round((Number(call.getDeadline()) - Date.now()) / 1000))));
      },
    });
    const client = clientOf(meshOf([port]), { 'grpc.primary_user_agent': 'shopper/1.0' });
    const metadata = new grpc.Metadata();
    for (const value of ['1', '2']) metadata.add('x-two', value);
    metadata.set('x-bytes-bin', Buffer.from([0, 255]));
    metadata.set('te', 'gzip');
    metadata.set('content-type', 'text/plain');
    const answered = await new Promise<string>((resolve, reject) => {
      const question = Buffer.from('');
      const options = { deadline: Date.now() + 60_000 };
      client.makeUnaryRequest(PLAIN_PATH, same, same, question, metadata, options, (error, value) =>
        error ? reject(error) : resolve(String(value)),
      );
    });
    expect(answered).toBe('60');
    const [found] = seen;
    expect(found?.get('x-two')).toEqual(['1, 2']);
    expect(found?.get('x-bytes-bin')).toEqual([Buffer.from([0, 255])]);
    expect(found?.get('user-agent')[0]).toMatch(/^shopper\/1\.0 grpc-node-js\/1\./);
    expect(found?.get('content-length')).toEqual([]);
  });

  test('that the application cancelled', async () => {
    let cancelled: (() => void) | undefined;
    const heard = new Promise<void>((resolve) => {
      cancelled = resolve;
    });
    const port = await scripted((stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.on('close', () => stream.rstCode === 8 && cancelled?.());
    });
    const call = clientOf(meshOf([port])).fullDuplexCall();
    call.on('error', () => {});
    await once(call, 'metadata');
    call.cancel();
    await heard;
  });

  test('a call that is cancelled in the middle as broken off, not as complete', async () => {
    const seen: string[] = [];
    const port = await scripted((stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.resume();
      for (const event of ['aborted', 'end', 'close']) stream.on(event, () => seen.push(event));
    });
    const call = clientOf(meshOf([port])).fullDuplexCall();
    call.on('error', () => {});
    call.write({ payload: { body: Buffer.alloc(10) } });
    await once(call, 'metadata');
    call.cancel();
    await expect.poll(() => seen.at(-1)).toBe('close');
    expect(seen[0]).toBe('aborted');
  });

  test('what credentials of the call and of the channel add', async () => {
    const port = await interop();
    const seen: unknown[] = [];
    const mesh = meshOf([port], {
      observer: { exchange: (request) => seen.push(request.headers.getAll('x-token')) },
    });
    const token = (value: string) =>
      grpc.credentials.createFromMetadataGenerator((_options, callback) => {
        const metadata = new grpc.Metadata();
        metadata.set('x-token', value);
        callback(null, metadata);
      });
    const composed = grpc.credentials.combineChannelCredentials(
      grpc.credentials.createSsl(),
      token('channel'),
    );
    const client = clientOf(mesh, { credentials: composed });
    expect((await ask(client, { credentials: token('call') })).code).toBe(grpc.status.OK);
    expect(seen).toEqual([['call', 'channel']]);
    const failing = grpc.credentials.createFromMetadataGenerator((_options, callback) =>
      callback(Object.assign(new Error('no token'), { code: grpc.status.UNAUTHENTICATED })),
    );
    expect(await ask(client, { credentials: failing })).toMatchObject({
      code: grpc.status.UNAUTHENTICATED,
      details: 'Getting metadata from plugin failed with error: no token',
    });
  });
});

const same = (bytes: Buffer) => bytes;
const PLAIN_PATH = '/test.Tell/Tell';
const PLAIN = {
  requestStream: false,
  responseStream: false,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};

describe('back-pressure', () => {
  test('a server that does not read holds the writer back', async () => {
    let start = () => {};
    const started = new Promise<void>((resolve) => {
      start = resolve;
    });
    const script: Script = (stream) => {
      stream.pause();
      start();
    };
    const call = clientOf(meshOf([await scripted(script)])).fullDuplexCall();
    call.on('error', () => {});
    let written = 0;
    const message = { payload: { body: Buffer.alloc(256 * 1024) } };
    const write = () => call.write(message, () => ++written < 100 && write());
    write();
    await started;
    expect(await standstill(() => written)).toBeLessThan(10);
    written = 100;
    call.cancel();
  });

  test('an application that does not read holds the server back', async () => {
    let start = () => {};
    const started = new Promise<void>((resolve) => {
      start = resolve;
    });
    let sent = 0;
    const port = await scripted((stream) => {
      start();
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      const message = frame(Buffer.alloc(64 * 1024));
      const write = () => {
        while (sent < 10_000) {
          sent++;
          if (!stream.write(message)) return;
        }
      };
      stream.on('drain', write);
      write();
    });
    const mesh = meshOf([port], {
      change: {
        protocol: {
          kind: 'http2',
          http2: { ...HTTP2.http2, initialStreamWindow: 65_535, initialConnectionWindow: 65_535 },
        },
      },
    });
    const call = clientOf(mesh).fullDuplexCall();
    call.on('error', () => {});
    await started;
    expect(await standstill(() => sent)).toBeLessThan(50);
    call.cancel();
  });
});

describe('the channel', () => {
  test('interceptors and factories of channels work as ever', async () => {
    const seen: string[] = [];
    const mesh = meshOf([await interop('one')]);
    const interceptor: grpc.Interceptor = (options, next) =>
      new grpc.InterceptingCall(next(options), {
        start(metadata, listener, begin) {
          seen.push(options.method_definition.path);
          begin(metadata, listener);
        },
      });
    const client = new TestClient(SHOP, grpc.credentials.createInsecure(), {
      interceptors: [interceptor],
      channelFactoryOverride: meshChannelFactory(mesh),
    });
    expect((await ask(client)).answer?.serverId).toBe('one');
    expect(seen).toEqual(['/grpc.testing.TestService/UnaryCall']);
  });

  test('is ready when the mesh knows the service, and tells who answered', async () => {
    const port = await interop();
    const client = clientOf(meshOf([port]));
    const channel = client.getChannel();
    expect(channel.getConnectivityState(false)).toBe(grpc.connectivityState.IDLE);
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + 5000, (error) => (error ? reject(error) : resolve()));
    });
    expect(channel.getConnectivityState(false)).toBe(grpc.connectivityState.READY);
    const call = client.emptyCall({}, new grpc.Metadata(), {}, () => {});
    await once(call, 'status');
    expect(call.getPeer()).toBe(`127.0.0.1:${port}`);
  });

  test('is listed in channelz with its calls', async () => {
    const channel = new MeshChannel(meshOf([await interop()]), SHOP);
    const client = new TestClient(SHOP, grpc.credentials.createInsecure(), { channelOverride: channel });
    await ask(client);
    const { id } = channel.getChannelzRef();
    const { GetChannel } = grpc.getChannelzHandlers();
    const found = await new Promise((resolve) =>
      GetChannel({ request: { channel_id: id } } as never, (_error: unknown, value: unknown) =>
        resolve(value),
      ),
    );
    expect(found).toMatchObject({
      channel: { data: { target: SHOP, calls_started: 1, calls_succeeded: 1, calls_failed: 0 } },
    });
    client.close();
  });

  test('takes no calls once it is closed; those under way go on', async () => {
    const client = clientOf(meshOf([await interop('one')]));
    const asked = ask(client);
    client.close();
    expect((await asked).answer?.serverId).toBe('one');
    expect(() => client.emptyCall({}, new grpc.Metadata(), {}, () => {})).toThrow(
      'Channel has been shut down',
    );
  });

  test('a call made for another ends with it', async () => {
    const client = clientOf(meshOf([await scripted(() => {})]));
    const parent = Object.assign(new (await import('node:events')).EventEmitter(), {
      getDeadline: () => Date.now() + 60,
    });
    const inTime = ask(client, { parent: parent as never });
    expect((await inTime).code).toBe(grpc.status.DEADLINE_EXCEEDED);
    const given = ask(client, {
      parent: Object.assign(parent, { getDeadline: () => Number.POSITIVE_INFINITY }) as never,
    });
    parent.emit('cancelled');
    expect(await given).toMatchObject({ code: grpc.status.CANCELLED, details: 'Cancelled by parent call' });
  });
});

describe('connections', () => {
  test('one that breaks makes its calls unavailable; the next call has another', async () => {
    const server = await serveScripts({
      FullDuplexCall: (stream) => stream.respond({ ':status': 200, 'content-type': 'application/grpc' }),
      UnaryCall: answer({ pieces: [frame('')] }),
    });
    closers.push(() => server.close());
    const client = clientOf(meshOf([server.port]));
    const call = client.fullDuplexCall();
    call.on('error', () => {});
    await once(call, 'metadata');
    for (const session of server.sessions) session.destroy();
    const { code } = await statusOf(call);
    expect(code).toBe(grpc.status.UNAVAILABLE);
    expect((await ask(client)).code).toBe(grpc.status.OK);
  });

  test('one that goes away finishes its calls; the next call has another', async () => {
    const streams: { end(): void }[] = [];
    const server = await serveScripts({
      FullDuplexCall: (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        streams.push(stream);
      },
      UnaryCall: answer({ pieces: [frame('')] }),
    });
    closers.push(() => server.close());
    const client = clientOf(meshOf([server.port]));
    const call = client.fullDuplexCall();
    call.resume();
    await once(call, 'metadata');
    const [first] = server.sessions;
    first?.goaway(0);
    expect((await ask(client)).code).toBe(grpc.status.OK);
    streams[0]?.end();
    const { code } = await statusOf(call);
    expect(code).toBe(grpc.status.OK);
  });

  test('more are made when one has as many calls as it takes', async () => {
    const port = await scripted(answer({ pieces: [frame('')] }));
    const http2 = { ...HTTP2.http2, maxConcurrentStreams: 2 };
    const mesh = meshOf([port], { change: { protocol: { kind: 'http2', http2 } } });
    const outcomes = await Promise.all(Array.from({ length: 9 }, () => ask(clientOf(mesh))));
    expect(new Set(outcomes.map(({ code }) => code))).toEqual(new Set([grpc.status.OK]));
  });
});

describe('compression', () => {
  test('is the channel’s choice, message by message, as far as the server takes it', async () => {
    const bodies: Buffer[] = [];
    const heads: (string | undefined)[] = [];
    const { createServer } = await import('node:http2');
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(() => server.close());
    server.on('stream', (stream, headers) => {
      heads.push(headers['grpc-encoding'] as string | undefined);
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        bodies.push(Buffer.concat(chunks));
        const head = { 'grpc-accept-encoding': 'identity,deflate' };
        answer({ head, pieces: [frame('')] })(stream);
      });
    });
    const { port } = server.address() as { port: number };
    const mesh = meshOf([port]);
    const client = clientOf(mesh, { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip });
    await ask(client);
    await ask(client);
    expect(heads).toEqual(['gzip', undefined]);
    expect(bodies.map((body) => body[0])).toEqual([1, 0]);
    const deflating = clientOf(mesh, {
      'grpc.default_compression_algorithm': grpc.compressionAlgorithms.deflate,
    });
    const call = deflating.fullDuplexCall();
    call.write({ payload: { body: Buffer.alloc(100) } });
    // grpc-js takes the flags of a message as its encoding.
    call.write({ payload: { body: Buffer.alloc(100) } }, '2' as BufferEncoding);
    call.end();
    call.resume();
    await once(call, 'status');
    const body = bodies[2] ?? Buffer.alloc(0);
    const second = 5 + body.readUInt32BE(1);
    expect([body[0], body[second]]).toEqual([1, 0]);
  });
});
