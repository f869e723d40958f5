import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { meshClient, meshServerCredentials, meshServerInterceptors } from '../../../src/grpc.js';
import { istio, stop, World } from '../mesh/features-world.js';
import { TestClient, testService, testServiceHandlers } from './interop-service.js';
import { bind, metadataOf, outcomeOf, serveGrpc } from './server-support.js';
import { freePort } from './server-world.js';

// Who may call, by Istio's documents: tokens, identities, methods and metadata, on both kinds of gRPC servers.

let world: World;
let issuer: string;
let sign: (claims: Record<string, unknown>, forged?: boolean) => Promise<string>;
const seen: (string | undefined)[] = [];
const clients = new Map<string, TestClient>();

const STRICT = istio('PeerAuthentication', 'default', 'mtls: { mode: STRICT }', 'istio-system');
const tokens = () =>
  istio('RequestAuthentication', 'tokens', `jwtRules: [{ issuer: "${issuer}", jwksUri: "${issuer}/keys" }]`);
const policy = (name: string, spec: string) => istio('AuthorizationPolicy', name, spec);

beforeAll(async () => {
  const [own, foreign] = [await generateKeyPair('ES256'), await generateKeyPair('ES256')];
  const jwk = { ...(await exportJWK(own.publicKey)), kid: 'one', alg: 'ES256' };
  const pages = createServer((_request, response) => {
    response.end(JSON.stringify({ keys: [jwk] }));
  }).listen(0, '127.0.0.1');
  await once(pages, 'listening');
  // A TCP server has an AddressInfo.
  issuer = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  sign = (claims, forged = false) =>
    new SignJWT({ iss: issuer, sub: 'ada', ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setExpirationTime('1h')
      .sign((forged ? foreign : own).privateKey);
  world = await World.start(STRICT);
  world.onClose(() => stop(pages));
  const handlers = {
    unaryCall(call: grpc.ServerUnaryCall<object, object>, done: grpc.sendUnaryData<object>) {
      seen.push(call.metadata.get('authorization').map(String)[0]);
      done(null, {});
    },
  };
  await serveGrpc(world, { mesh: { service: 'whole' }, handlers });
  const port = await freePort();
  const mesh = await world.join({ service: 'parts', leaveDelayMs: 0 });
  const server = new grpc.Server({ interceptors: meshServerInterceptors(mesh, { port }) });
  server.addService(testService, { ...testServiceHandlers(), ...handlers });
  world.onClose(async () => server.forceShutdown());
  await bind(server, `127.0.0.1:${port}`, meshServerCredentials(mesh));
  const friend = await world.join({ serviceAccount: 'friend' });
  const other = await world.join({ serviceAccount: 'other' });
  for (const name of ['whole', 'parts']) {
    clients.set(name, meshClient(friend, TestClient, name));
    clients.set(`${name} other`, meshClient(other, TestClient, name));
  }
  world.onClose(async () => {
    for (const client of clients.values()) client.close();
  });
});
afterAll(() => world.close());

const client = (name: string) => clients.get(name) as TestClient;
const asking = (name: string, token?: string, more: Record<string, string> = {}) =>
  outcomeOf(client(name), { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...more });
const becomes = (name: string, code: string, token?: string) =>
  expect.poll(async () => (await asking(name, token))[0], { timeout: 10_000, interval: 20 }).toBe(code);

describe.each(['whole', 'parts'])('a server (%s)', (name) => {
  test('tokens: good ones pass, bad ones are UNAUTHENTICATED, and none does as the policies say', async () => {
    world.configure(STRICT + tokens());
    const [good, forged] = [await sign({}), await sign({}, true)];
    await becomes(name, 'UNAUTHENTICATED', forged);
    seen.length = 0;
    expect(await asking(name, good)).toEqual(['OK', '']);
    // Istio: a token is taken off unless it is to be forwarded.
    expect(seen).toEqual([undefined]);
    expect(await asking(name)).toEqual(['OK', '']);
    expect((await asking(name, forged))[1]).toBe('Jwt verification fails');
    expect((await asking(name, 'a.b.c'))[0]).toBe('UNAUTHENTICATED');
  });

  test('requestPrincipals and claims: who the token is of', async () => {
    world.configure(
      STRICT +
        tokens() +
        policy(
          'who',
          `rules:
- from: [{ source: { requestPrincipals: ["${issuer}/ada"] } }]
  when: [{ key: "request.auth.claims[groups]", values: [admin] }]`,
        ),
    );
    await becomes(name, 'PERMISSION_DENIED');
    expect(await asking(name, await sign({ groups: ['users', 'admin'] }))).toEqual(['OK', '']);
    expect(await asking(name, await sign({ groups: ['users'] }))).toEqual([
      'PERMISSION_DENIED',
      'RBAC: access denied',
    ]);
    expect((await asking(name, await sign({ groups: ['admin'], sub: 'bob' })))[0]).toBe('PERMISSION_DENIED');
  });

  test('methods, metadata and identities: a method is a path', async () => {
    world.configure(
      STRICT +
        policy(
          'what',
          `rules:
- from: [{ source: { principals: [cluster.local/ns/default/sa/friend] } }]
  to: [{ operation: { methods: [POST], paths: [/grpc.testing.TestService/UnaryCall] } }]
  when: [{ key: "request.headers[x-team]", values: ["red*"] }]`,
        ) +
        policy(
          'never',
          'action: DENY\nrules: [{ when: [{ key: "request.headers[x-evil]", values: ["*"] }] }]',
        ),
    );
    const red = { 'x-team': 'redder' };
    await expect
      .poll(() => asking(name, undefined, red), { timeout: 10_000, interval: 20 })
      .toEqual(['OK', '']);
    expect((await asking(name))[0]).toBe('PERMISSION_DENIED');
    expect((await asking(`${name} other`, undefined, red))[0]).toBe('PERMISSION_DENIED');
    expect((await asking(name, undefined, { ...red, 'x-evil': '1' }))[0]).toBe('PERMISSION_DENIED');
    // Another method of the same service, and each kind of stream.
    const codeOf = (call: { on(event: 'status', listener: (status: grpc.StatusObject) => void): unknown }) =>
      new Promise<string>((resolve) => call.on('status', ({ code }) => resolve(grpc.status[code] ?? '')));
    const metadata = metadataOf(red);
    expect(await codeOf(client(name).emptyCall({}, metadata, {}, () => {}))).toBe('PERMISSION_DENIED');
    const stream = client(name).streamingOutputCall({}, metadata);
    stream.on('error', () => {}).resume();
    expect(await codeOf(stream)).toBe('PERMISSION_DENIED');
    const duplex = client(name).fullDuplexCall(metadata);
    duplex.on('error', () => {}).resume();
    expect(await codeOf(duplex)).toBe('PERMISSION_DENIED');
    expect(await codeOf(client(name).streamingInputCall(metadata, {}, () => {}))).toBe('PERMISSION_DENIED');
    // What stands for the path otherwise does not.
    const disguised = metadataOf({ ...red, 'x-envoy-original-path': '/grpc.testing.TestService/UnaryCall' });
    expect(await codeOf(client(name).emptyCall({}, disguised, {}, () => {}))).toBe('PERMISSION_DENIED');
  });
});
