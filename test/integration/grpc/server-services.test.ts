import * as grpc from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, service as healthService } from 'grpc-health-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { meshClient, meshServer, meshServerCredentials, meshServerInterceptors } from '../../../src/grpc.js';
import type { Mesh } from '../../../src/index.js';
import { istio, World } from '../mesh/features-world.js';
import { eventually } from '../mesh/support.js';
import { TestClient, testService, testServiceHandlers } from './interop-service.js';
import { bareClient, bind, credentialsOf, outcomeOf } from './server-support.js';
import { freePort } from './server-world.js';

// The services that others bring along for grpc-js servers, on servers of the mesh, in a mesh that takes mTLS only.

let world: World;
let caller: Mesh;
beforeAll(async () => {
  world = await World.start(istio('PeerAuthentication', 'default', 'mtls: { mode: STRICT }', 'istio-system'));
  caller = await world.join();
});
afterAll(() => world.close());

const health = new HealthImplementation({ '': 'SERVING', shop: 'NOT_SERVING' });

/** What the health service needs of its own description. */
const healthPackage = {
  'grpc.health.v1.Health': healthService,
  'grpc.health.v1.HealthCheckRequest': Reflect.get(healthService['Check'] ?? {}, 'requestType'),
};

async function served(kind: 'meshServer' | 'parts'): Promise<number> {
  const mesh = await world.join({ service: kind.toLowerCase(), leaveDelayMs: 0 });
  const port = await freePort();
  const server =
    kind === 'meshServer'
      ? meshServer(mesh)
      : new grpc.Server({ interceptors: meshServerInterceptors(mesh, { port }) });
  server.addService(testService, testServiceHandlers());
  health.addToServer(server);
  new ReflectionService(healthPackage).addToServer(server);
  grpc.addAdminServicesToServer(server);
  world.onClose(async () => server.forceShutdown());
  await bind(server, `127.0.0.1:${port}`, meshServerCredentials(mesh));
  return port;
}

type Ask = (path: string, request: object) => Promise<Record<string, unknown>>;

/** Asks a method whose definition is known; the first message of a stream is its answer. */
function asks(client: grpc.Client, definition: grpc.ServiceDefinition): Ask {
  return (name, request) => {
    const found = definition[name];
    if (found === undefined) throw new Error(`no method ${name}`);
    return new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = found;
      const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
      call.once('data', (answer) => {
        resolve(answer as Record<string, unknown>);
        call.cancel();
      });
      call.on('error', reject);
    });
  };
}

describe.each(['meshServer', 'parts'] as const)('%s, under STRICT mTLS', (kind) => {
  let port: number;
  let inside: TestClient;
  let outside: TestClient;
  beforeAll(async () => {
    port = await served(kind);
    inside = meshClient(caller, TestClient, kind.toLowerCase());
    outside = bareClient(world, port, credentialsOf(caller));
    world.onClose(async () => inside.close());
    await eventually('the caller knows it', async () => (await outcomeOf(inside))[0] === 'OK');
  });
  const clients = (): readonly (readonly [string, TestClient])[] => [
    ['through the mesh', inside],
    ['with its certificate only', outside],
  ];

  test('plaintext is not let in', async () => {
    expect((await outcomeOf(bareClient(world, port)))[0]).toBe('UNAVAILABLE');
  });

  test('health: checks, watches that hear of changes, and services nobody knows', async () => {
    for (const [name, client] of clients()) {
      const ask = asks(client, healthService);
      expect(await ask('Check', { service: '' }), name).toEqual({ status: 'SERVING' });
      expect(await ask('Check', { service: 'shop' }), name).toEqual({ status: 'NOT_SERVING' });
      await expect(ask('Check', { service: 'other' })).rejects.toMatchObject({ code: grpc.status.NOT_FOUND });
      await expect(changesOf(client)).resolves.toEqual(['SERVING', 'NOT_SERVING', 'SERVING']);
    }
  });

  /** The states that a watch hears of while the service goes away and comes back. */
  async function changesOf(client: grpc.Client): Promise<string[]> {
    const { path, requestSerialize, responseDeserialize } = healthService[
      'Watch'
    ] as never as grpc.MethodDefinition<object, { status: string }>;
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { service: '' });
    call.on('error', () => {});
    const heard: string[] = [];
    for await (const { status } of call) {
      heard.push(String(status));
      if (heard.length === 3) break;
      health.setStatus('', heard.length === 1 ? 'NOT_SERVING' : 'SERVING');
    }
    return heard;
  }

  test.each(['v1', 'v1alpha'])('reflection %s lists the services, and describes them', async (version) => {
    for (const [name, client] of clients()) {
      const answers = await reflected(
        client,
        `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
        [
          // ListServices, and the file that has the symbol.
          field(7, '*'),
          field(4, 'grpc.health.v1.Health'),
        ],
      );
      expect(answers[0]?.toString('latin1'), name).toContain('grpc.health.v1.Health');
      expect(answers[1]?.toString('latin1'), name).toContain('HealthCheckResponse');
    }
  });

  test('channelz knows the server and the connections of its callers', async () => {
    const channelz = grpc.getChannelzServiceDefinition() as unknown as grpc.ServiceDefinition;
    for (const [name, client] of clients()) {
      const ask = asks(client, channelz);
      const { server: servers } = (await ask('GetServers', { start_server_id: 0, max_results: 100 })) as {
        server: {
          ref: { server_id: string };
          data: { calls_started: string };
          listen_socket: { name: string }[];
        }[];
      };
      const own = servers.find(({ listen_socket: all }) => all.some((one) => one.name.endsWith(`:${port}`)));
      expect(Number(own?.data.calls_started), name).toBeGreaterThan(0);
      const request = { server_id: own?.ref.server_id, start_socket_id: 0, max_results: 100 };
      const { socket_ref: sockets } = (await ask('GetServerSockets', request)) as {
        socket_ref: { socket_id: string }[];
      };
      expect(sockets.length, name).toBeGreaterThan(0);
      const { socket } = (await ask('GetSocket', { socket_id: sockets[0]?.socket_id })) as {
        socket: { data: { streams_started: string }; security: unknown; local: unknown };
      };
      expect(Number(socket.data.streams_started), name).toBeGreaterThan(0);
      expect(socket, name).toMatchObject({ local: { tcpip_address: { port } } });
      expect(socket.security, name).toBeTruthy();
    }
  });
});

/** Asks over one stream, one after the other. */
async function reflected(client: grpc.Client, path: string, requests: readonly Buffer[]): Promise<Buffer[]> {
  const same = (bytes: Buffer): Buffer => bytes;
  const call = client.makeBidiStreamRequest(path, same, same);
  for (const request of requests) call.write(request);
  call.end();
  const answers: Buffer[] = [];
  for await (const answer of call) answers.push(answer as Buffer);
  return answers;
}

/** A message with this one field. */
function field(number: number, text: string): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2, text.length]), Buffer.from(text)]);
}
