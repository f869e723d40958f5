import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { experimentalOf } from '../../../src/bindings/grpc/adapter.js';
import { registerMeshResolver } from '../../../src/bindings/grpc/resolver.js';
import type { MeshCore } from '../../../src/mesh/core.js';
import type { StaticMesh } from '../support/static-mesh.js';
import { TestClient } from './interop-service.js';
import { answerOnly, serveScripts } from './scripted-server.js';
import { type GrpcWorld, grpcMesh, SHOP, serveInterop } from './support.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function meshOf(ports: readonly number[], world?: GrpcWorld): StaticMesh {
  const mesh = grpcMesh(ports, world);
  closers.push(() => mesh.close());
  return mesh;
}

async function interop(serverId: string): Promise<number> {
  const { server, port } = await serveInterop(serverId);
  closers.push(() => server.forceShutdown());
  return port;
}

/** A client that knows of no mesh but by its target. */
function clientOf(target: string, credentials = grpc.credentials.createInsecure()): TestClient {
  const client = new TestClient(target, credentials, { 'grpc.enable_retries': 0 });
  closers.push(() => client.close());
  return client;
}

function ask(client: TestClient, options: grpc.CallOptions = {}, metadata = new grpc.Metadata()) {
  return new Promise<{ code: grpc.status; details: string; serverId: string | undefined }>((resolve) => {
    client.unaryCall({ fillServerId: true }, metadata, options, (error, answer) =>
      resolve({
        code: error?.code ?? grpc.status.OK,
        details: error?.details ?? '',
        serverId: answer?.serverId,
      }),
    );
  });
}

describe('channels that others make', () => {
  test.each(['mesh', 'xds'])('reach the mesh by a target of scheme %s', async (scheme) => {
    registerMeshResolver(meshOf([await interop('one')]));
    expect(await ask(clientOf(`${scheme}:///${SHOP}`))).toMatchObject({
      code: grpc.status.OK,
      serverId: 'one',
    });
  });

  test('have the load balancing of the mesh', async () => {
    registerMeshResolver(meshOf([await interop('one'), await interop('two')]));
    const client = clientOf(`mesh:///${SHOP}`);
    const seen = new Set<string | undefined>();
    for (let i = 0; i < 4; i++) seen.add((await ask(client)).serverId);
    expect(seen).toEqual(new Set(['one', 'two']));
  });

  test('have its retries, too', async () => {
    let attempts = 0;
    const server = await serveScripts({
      UnaryCall: (stream) =>
        answerOnly({ ':status': 200, 'grpc-status': attempts++ < 1 ? '14' : '5', 'grpc-message': 'none' })(
          stream,
        ),
    });
    closers.push(() => server.close());
    const retryPolicy = {
      retryOn: ['unavailable'],
      numRetries: 1,
      perTryTimeoutMs: undefined,
      retriableStatusCodes: [],
      baseIntervalMs: 1,
      maxIntervalMs: 2,
      avoidPreviousHosts: false,
      hostSelectionAttempts: 1,
    } as const;
    registerMeshResolver(meshOf([server.port], { action: { retryPolicy } }));
    expect(await ask(clientOf(`mesh:///${SHOP}`))).toMatchObject({
      code: grpc.status.NOT_FOUND,
      details: 'none',
    });
    expect(attempts).toBe(2);
  });

  test('are told when the mesh does not know the service', async () => {
    registerMeshResolver(meshOf([1]));
    const { code, details } = await ask(clientOf('mesh:///nobody:1'));
    expect([code, details]).toEqual([grpc.status.UNAVAILABLE, 'the mesh knows no nobody:1']);
  });

  test('send along what their credentials give', async () => {
    const seen: unknown[] = [];
    const observer = {
      exchange: (request: { headers: { get(name: string): unknown } }) =>
        seen.push(request.headers.get('x-token')),
    };
    registerMeshResolver(meshOf([await interop('one')], { observer }));
    const token = grpc.credentials.createFromMetadataGenerator((_options, callback) => {
      const metadata = new grpc.Metadata();
      metadata.set('x-token', 'secret');
      callback(null, metadata);
    });
    const composed = grpc.credentials.combineChannelCredentials(grpc.credentials.createSsl(), token);
    expect((await ask(clientOf(`mesh:///${SHOP}`, composed))).code).toBe(grpc.status.OK);
    expect(seen).toEqual(['secret']);
  });

  test('wait for the first configuration', async () => {
    const mesh = meshOf([await interop('one')]);
    let configure: () => void = () => {};
    const configured = new Promise<void>((resolve) => {
      configure = resolve;
    });
    let isConfigured = false;
    const core: MeshCore = {
      ...mesh.core,
      lookup: (origin) => (isConfigured ? mesh.core.lookup(origin) : 'unknown'),
      whenConfigured: () => configured,
    };
    registerMeshResolver({ core });
    const asked = ask(clientOf(`mesh:///${SHOP}`));
    isConfigured = true;
    configure();
    expect((await asked).serverId).toBe('one');
  });

  test('do not leave a stream behind when they are cancelled at once', async () => {
    let streams = 0;
    const server = await serveScripts({
      FullDuplexCall: () => {
        streams++;
      },
      UnaryCall: answerOnly({ ':status': 200, 'grpc-status': 5 }),
    });
    closers.push(() => server.close());
    registerMeshResolver(meshOf([server.port]));
    const client = clientOf(`mesh:///${SHOP}`);
    expect((await ask(client)).code).toBe(grpc.status.NOT_FOUND);
    for (let i = 0; i < 5; i++) {
      const call = client.fullDuplexCall();
      const ended = new Promise<number>((resolve) => call.on('status', ({ code }) => resolve(code)));
      call.on('error', () => {});
      call.cancel();
      expect(await ended).toBe(grpc.status.CANCELLED);
    }
    // Whatever was sent came before this one.
    expect((await ask(client)).code).toBe(grpc.status.NOT_FOUND);
    expect(streams).toBe(0);
  });

  test('have the retries and the times of their service config', async () => {
    let attempts = 0;
    const server = await serveScripts({
      UnaryCall: (stream) => {
        if (++attempts < 3) answerOnly({ ':status': 200, 'grpc-status': attempts === 1 ? 14 : 5 })(stream);
      },
    });
    closers.push(() => server.close());
    registerMeshResolver(meshOf([server.port]));
    const retryPolicy = {
      maxAttempts: 2,
      initialBackoff: '0.001s',
      maxBackoff: '0.001s',
      backoffMultiplier: 1,
      retryableStatusCodes: ['UNAVAILABLE'],
    };
    const client = new TestClient(`mesh:///${SHOP}`, grpc.credentials.createInsecure(), {
      'grpc.service_config': JSON.stringify({
        methodConfig: [{ name: [{}], timeout: '0.2s', retryPolicy }],
      }),
    });
    closers.push(() => client.close());
    expect((await ask(client)).code).toBe(grpc.status.NOT_FOUND);
    expect(attempts).toBe(2);
    // The third hangs.
    expect((await ask(client)).code).toBe(grpc.status.DEADLINE_EXCEEDED);
  });

  test('compress, and have their deadlines', async () => {
    registerMeshResolver(meshOf([await interop('one')]));
    const client = new TestClient(`mesh:///${SHOP}`, grpc.credentials.createInsecure(), {
      'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip,
    });
    closers.push(() => client.close());
    expect((await ask(client)).serverId).toBe('one');
    const server = await serveScripts({ UnaryCall: () => {} });
    closers.push(() => server.close());
    registerMeshResolver(meshOf([server.port]));
    const { code } = await ask(clientOf(`mesh:///${SHOP}`), { deadline: Date.now() + 60 });
    expect(code).toBe(grpc.status.DEADLINE_EXCEEDED);
  });
});

test('another grpc-js than we know is refused in words', () => {
  expect(() => experimentalOf({ ...grpc.experimental, QueuePicker: undefined as never })).toThrow(
    'this version of @grpc/grpc-js has no QueuePicker',
  );
});
