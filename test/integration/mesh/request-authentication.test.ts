import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stop, World } from './features-world.js';
import type { Member } from './support.js';

/** Tokens, from an issuer's own pages to the application: documents, control plane, xDS, listeners, requests. */

let world: World;
let server: Member;
let issuer: string;
type Key = Awaited<ReturnType<typeof createKey>>;
let keys: { readonly first: Key; readonly second: Key; readonly stranger: Key };
let served: JWK[] = [];
const asked: string[] = [];

async function createKey(kid: string) {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const sign = (claims: Record<string, unknown>) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid }).setExpirationTime('1h').sign(privateKey);
  return { jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' }, sign };
}

const security = (kind: string, spec: string) =>
  `---\napiVersion: security.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${kind.toLowerCase()}}\nspec: ${spec}\n`;

const PLAINTEXT = security('PeerAuthentication', '{mtls: {mode: DISABLE}}');
const REQUIRE = security('AuthorizationPolicy', '{rules: [{from: [{source: {requestPrincipals: ["*"]}}]}]}');

/** The rule of the issuer, found by discovery. */
const tokens = (fields = '') =>
  security('RequestAuthentication', `{jwtRules: [{issuer: "${issuer}"${fields}}]}`);

beforeAll(async () => {
  keys = {
    first: await createKey('first'),
    second: await createKey('second'),
    stranger: await createKey('first'),
  };
  served = [keys.first.jwk];
  const pages = createServer((request, response) => {
    asked.push(request.url ?? '');
    if (request.url === '/.well-known/openid-configuration') {
      response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }));
    } else if (request.url === '/keys') response.end(JSON.stringify({ keys: served }));
    else response.writeHead(302, { location: `${issuer}/keys` }).end();
  }).listen(0, '127.0.0.1');
  await once(pages, 'listening');
  // A TCP server has an AddressInfo.
  issuer = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  world = await World.start(PLAINTEXT);
  world.onClose(() => stop(pages));
  server = await world.serve({ service: 'echo' }, (request, response) => {
    request.resume();
    response.end(JSON.stringify({ url: request.url, headers: request.headers }));
  });
});

afterAll(() => world.close());

interface Seen {
  readonly status: number;
  readonly body: string;
  readonly challenge: string | null;
}

async function get(token?: string, path = '/', headers: Record<string, string> = {}): Promise<Seen> {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, {
    headers: {
      connection: 'close',
      ...headers,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
  });
  return {
    status: response.status,
    body: await response.text(),
    challenge: response.headers.get('www-authenticate'),
  };
}

/** Waits until the answer to a request is what follows from the configuration just set. */
async function becomes(read: () => Promise<number>, status: number): Promise<void> {
  await expect.poll(read, { timeout: 10_000, interval: 20 }).toBe(status);
}

const claims = (more: Record<string, unknown> = {}) => ({ iss: issuer, sub: 'alice', ...more });

describe('tokens of an issuer whose keys are looked up', () => {
  let good: string;

  beforeAll(async () => {
    good = await keys.first.sign(claims({ groups: ['users', 'admin'], aud: 'shop', scope: 'read write' }));
    world.configure(PLAINTEXT + tokens());
  });

  test('a good token passes and does not reach the application; without one a request passes, too', async () => {
    await becomes(async () => (await get('a.b')).status, 401);
    await becomes(async () => (await get(good)).status, 200);
    const { status, body } = await get(good);
    expect([status, JSON.parse(body).headers.authorization]).toEqual([200, undefined]);
    expect((await get()).status).toBe(200);
    expect(asked.slice(0, 2)).toEqual(['/.well-known/openid-configuration', '/keys']);
  });

  test('a bad one is refused as Envoy does', async () => {
    const forged = await keys.stranger.sign(claims());
    const port = server.port;
    expect(await get(forged)).toEqual({
      status: 401,
      body: 'Jwt verification fails',
      challenge: `Bearer realm="http://127.0.0.1:${port}/", error="invalid_token"`,
    });
    expect((await get(await keys.second.sign(claims()))).body).toBe(
      "Jwks doesn't have key to match kid or alg from Jwt",
    );
    expect((await get(await keys.first.sign({ ...claims(), iss: 'https://other.example' }))).body).toBe(
      'Jwt issuer is not configured',
    );
    expect((await get('a.b')).status).toBe(401);
  });

  test('over HTTP/2 it is the same', async () => {
    const session = connect(`http://127.0.0.1:${server.port}`);
    const status = async (token: string | undefined) => {
      const stream = session.request({ ':path': '/', ...(token && { authorization: `Bearer ${token}` }) });
      const [head] = await once(stream, 'response');
      stream.resume();
      return head[':status'];
    };
    expect([await status(good), await status('x'), await status(undefined)]).toEqual([200, 401, 200]);
    session.destroy();
  });

  test('a policy asks who the token is of, and its claims', async () => {
    world.configure(PLAINTEXT + tokens() + REQUIRE);
    await becomes(async () => (await get()).status, 403);
    expect((await get(good)).status).toBe(200);
    expect((await get('a.b')).status).toBe(401);
    const admins =
      '{rules: [{when: [{key: "request.auth.claims[groups]", values: [admin]}, {key: "request.auth.claims[scope]", values: [write]}]}]}';
    world.configure(PLAINTEXT + tokens() + security('AuthorizationPolicy', admins));
    const user = await keys.first.sign(claims({ groups: ['users'], scope: 'read write' }));
    await becomes(async () => (await get(user)).status, 403);
    expect((await get(good)).status).toBe(200);
  });

  test('places, outputs and audiences are those of the rule', async () => {
    world.configure(
      PLAINTEXT +
        tokens(
          ', audiences: [shop], fromParams: [t], forwardOriginalToken: true, outputPayloadToHeader: x-payload, outputClaimToHeaders: [{header: x-user, claim: sub}]',
        ),
    );
    await becomes(async () => (await get(await keys.first.sign(claims({ aud: 'no' })), '/?t=x')).status, 401);
    const other = await keys.first.sign(claims({ aud: 'other' }));
    expect((await get(undefined, `/?t=${other}`)).status).toBe(403);
    const { body } = await get(undefined, `/?t=${good}`, { 'x-user': 'root', 'x-payload': 'faked' });
    const { headers, url } = JSON.parse(body);
    expect([headers['x-user'], url]).toEqual(['alice', `/?t=${good}`]);
    expect(JSON.parse(Buffer.from(headers['x-payload'], 'base64url').toString())).toMatchObject({
      sub: 'alice',
    });
  });
});

test('keys that nobody can fetch let no token in, and requests without one pass', async () => {
  const good = await keys.first.sign(claims());
  // A redirect is not followed: who names a URL means it.
  world.configure(PLAINTEXT + tokens(`, jwksUri: "${issuer}/moved"`));
  await becomes(async () => (await get(good)).status, 401);
  expect([(await get(good)).body, (await get()).status]).toEqual([
    "Jwks doesn't have any valid public key",
    200,
  ]);
});
