import { createServer } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { register, XdsServer, XdsServerCredentials } from '@grpc/grpc-js-xds';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createControlPlane, createMemorySource } from '../../../src/control-plane.js';
import { networking } from '../../unit/control-plane/compile/mesh.js';
import { BOOTSTRAP_OPTION, bootstrap } from './stock-client.js';

// The stock gRPC client and server of Node over our control plane do what the documents say.

const { status } = grpc;
const METHOD: grpc.MethodDefinition<string, string> = {
  path: '/test.Echo/Say',
  requestStream: false,
  responseStream: false,
  requestSerialize: (text) => Buffer.from(text),
  requestDeserialize: String,
  responseSerialize: (text) => Buffer.from(text),
  responseDeserialize: String,
};

type Handler = (call: grpc.ServerUnaryCall<string, string>) => string | grpc.status;

const closing: (() => unknown)[] = [];
const clients: grpc.Client[] = [];
const source = createMemorySource('');
let plane: Awaited<ReturnType<typeof createControlPlane>>;
let ports: { readonly v1: number; readonly v2: number; readonly flaky: number };
let failures = 0;

async function serve(server: grpc.Server, address = '127.0.0.1:0'): Promise<number> {
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  closing.push(() => server.forceShutdown());
  return port;
}

function serverOf(handler: Handler, server = new grpc.Server()): grpc.Server {
  server.addService(
    { Say: METHOD },
    {
      Say: (call: grpc.ServerUnaryCall<string, string>, callback: grpc.sendUnaryData<string>) => {
        const answer = handler(call);
        if (typeof answer === 'string') callback(null, answer);
        else callback({ code: answer });
      },
    },
  );
  return server;
}

const entry = (port: number, version: string) =>
  `{ address: 127.0.0.1, ports: { grpc: ${port} }, labels: { version: ${version} } }`;

function echo(http: string, policy = ''): string {
  const endpoints = [entry(ports.v1, 'v1'), entry(ports.v2, 'v2'), entry(ports.flaky, 'flaky')];
  return (
    networking(
      'ServiceEntry',
      'echo',
      `hosts: [echo.default.svc.cluster.local]\nlocation: MESH_INTERNAL\nresolution: STATIC\nports: [{ number: 7000, name: grpc, protocol: GRPC }]\nendpoints: [${endpoints.join(', ')}]`,
    ) +
    networking(
      'DestinationRule',
      'echo',
      `host: echo\nsubsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }, { name: flaky, labels: { version: flaky } }]\n${policy}`,
    ) +
    networking('VirtualService', 'echo', `hosts: [echo]\nhttp:\n${http}`)
  );
}

const to = (subset: string) => `route: [{ destination: { host: echo, subset: ${subset} } }]`;

/** Puts a configuration into force. */
function configure(text: string): void {
  source.set(text);
  expect(plane.status().rejected).toBeUndefined();
}

function clientFor(target = 'xds:///echo:7000'): grpc.Client {
  const options = { [BOOTSTRAP_OPTION]: bootstrap({ server: plane.addresses.xds }) };
  const client = new grpc.Client(target, grpc.credentials.createInsecure(), options);
  clients.push(client);
  return client;
}

interface Answer {
  readonly code: grpc.status;
  readonly text: string;
}

function call(
  client: grpc.Client,
  headers: Readonly<Record<string, string>> = {},
  path = METHOD.path,
): Promise<Answer> {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      METHOD.requestSerialize,
      METHOD.responseDeserialize,
      'hi',
      metadata,
      { deadline: Date.now() + 20_000 },
      (error, text) => resolve({ code: error?.code ?? status.OK, text: text ?? error?.details ?? '' }),
    );
  });
}

beforeAll(async () => {
  register();
  plane = await createControlPlane({
    ports: { xds: 0, secureXds: 0, http: 0 },
    sources: [source],
    debounceMs: { quietMs: 1, maxMs: 10 },
  });
  ports = {
    v1: await serve(serverOf(() => 'v1')),
    v2: await serve(serverOf(() => 'v2')),
    flaky: await serve(serverOf(() => (failures-- > 0 ? status.UNAVAILABLE : 'flaky'))),
  };
});

// The stock ring falls over when its endpoints go, so clients go first.
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

afterAll(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await plane.close();
});

const nacked = () => plane.status().clients.filter(({ state }) => state === 'NACKED');

describe('a stock client', () => {
  test('follows headers, also such that are not there, and answers of its own', async () => {
    configure(
      echo(
        [
          `- match: [{ headers: { end-user: { exact: jason } } }]\n  ${to('v2')}`,
          '- match: [{ headers: { old: { exact: "yes" } } }]\n  redirect: { uri: /new }',
          '- match: [{ headers: { gone: { exact: "yes" } } }]\n  directResponse: { status: 403 }',
          `- match: [{ headers: { broken: { exact: "yes" } } }]\n  fault: { abort: { grpcStatus: DATA_LOSS, percentage: { value: 100 } } }\n  ${to('v1')}`,
          `- match: [{ withoutHeaders: { plain: { exact: "no" } }, method: { exact: POST } }]\n  ${to('v1')}`,
          '- route: [{ destination: { host: nobody.example.com } }]',
        ].join('\n'),
      ),
    );
    const client = clientFor();
    expect(await call(client)).toEqual({ code: status.OK, text: 'v1' });
    expect(await call(client, { 'end-user': 'jason' })).toEqual({ code: status.OK, text: 'v2' });
    expect(await call(client, { plain: 'yes' })).toEqual({ code: status.OK, text: 'v1' });
    expect((await call(client, { old: 'yes' })).code).toBe(status.UNKNOWN);
    expect((await call(client, { gone: 'yes' })).code).toBe(status.PERMISSION_DENIED);
    expect((await call(client, { broken: 'yes' })).code).toBe(status.DATA_LOSS);
    // The cluster that nobody has fails its own calls alone, and at once.
    expect((await call(client, { plain: 'no' })).code).toBe(status.UNAVAILABLE);
    expect(nacked()).toEqual([]);
  });

  test('retries as the route says, and divides calls by weight', async () => {
    configure(
      echo(
        [
          `- match: [{ headers: { to: { exact: flaky } } }]\n  retries: { attempts: 3, retryOn: "unavailable,5xx", backoff: 1ms }\n  ${to('flaky')}`,
          '- route: [{ destination: { host: echo, subset: v1 }, weight: 1 }, { destination: { host: echo, subset: v2 }, weight: 1 }]',
        ].join('\n'),
      ),
    );
    const client = clientFor('xds:///echo.default:7000');
    failures = 3;
    expect(await call(client, { to: 'flaky' })).toEqual({ code: status.OK, text: 'flaky' });
    failures = 0;
    const answers = await Promise.all(Array.from({ length: 60 }, () => call(client)));
    const counts = ['v1', 'v2'].map((name) => answers.filter(({ text }) => text === name).length);
    // Off the middle by 5 sigma in one of two million runs.
    expect(Math.min(...counts)).toBeGreaterThan(10);
    expect(answers.every(({ code }) => code === status.OK)).toBe(true);
    expect(nacked()).toEqual([]);
  });

  test.each([
    ['LEAST_REQUEST', 'loadBalancer: { simple: LEAST_REQUEST }'],
    ['RANDOM', 'loadBalancer: { simple: RANDOM }'],
    ['ROUND_ROBIN', 'loadBalancer: { simple: ROUND_ROBIN }'],
    ['a ring', 'loadBalancer: { consistentHash: { httpHeaderName: user } }'],
    ['Maglev', 'loadBalancer: { consistentHash: { httpHeaderName: user, maglev: {} } }'],
    ['the caller', 'loadBalancer: { consistentHash: { useSourceIp: true } }'],
  ])('balances by %s', async (name, policy) => {
    configure(echo('- route: [{ destination: { host: echo } }]', `trafficPolicy: { ${policy} }`));
    const client = clientFor('xds:///echo.default.svc.cluster.local:7000');
    const isSticky = policy.includes('consistentHash');
    const hosts = new Set<string>();
    // Until all hosts are connected the first one may take everything.
    for (let calls = 0; calls < (isSticky ? 20 : 2000) && hosts.size < 2; calls++) {
      const { code, text } = await call(client, { user: 'me' });
      expect(code).toBe(status.OK);
      hosts.add(text);
    }
    expect(hosts.size, name).toBe(isSticky ? 1 : 2);
    expect(nacked()).toEqual([]);
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  // Listening on TCP, so the address is an object.
  const { port } = server.address() as { readonly port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('a stock server', () => {
  test('serves by its listener', async () => {
    configure('');
    const port = await freePort();
    const options = { [BOOTSTRAP_OPTION]: bootstrap({ server: plane.addresses.xds }) };
    const server = new XdsServer(options);
    serverOf(() => 'served', server);
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(
        `127.0.0.1:${port}`,
        new XdsServerCredentials(grpc.ServerCredentials.createInsecure()),
        (error) => (error === null ? resolve() : reject(error)),
      );
    });
    closing.push(() => server.forceShutdown());
    const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    clients.push(client);
    expect(await call(client)).toEqual({ code: status.OK, text: 'served' });
    expect(nacked()).toEqual([]);
  });
});
