import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Mesh } from '../../../src/index.js';
import { closedPort, startGrpc, startSeeing } from '../filters/authz-servers.js';
import { ask, becomes, entry, policy } from './authorization-world.js';
import { istio, World } from './features-world.js';
import type { Member } from './support.js';

/** AuthorizationPolicies in force: documents, control plane, xDS, listeners, mTLS, requests. */

let world: World;
let server: Member;
/** Callers by their service accounts: two of `default`, one of `ops`. */
let web: Mesh;
let batch: Mesh;
let admin: Mesh;
let http: Awaited<ReturnType<typeof startSeeing>>;
let grpc: Awaited<ReturnType<typeof startGrpc>>;
let asked: string[];
let token: (claims: Record<string, unknown>) => Promise<string>;
let jwks = '';
let services = '';
const lines: string[] = [];
const PERMISSIVE = `---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: PERMISSIVE } }
`;

beforeAll(async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }] });
  token = (claims) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setExpirationTime('1h')
      .sign(privateKey);
  asked = [];
  http = await startSeeing((seen, response) => {
    asked.push(`http ${seen.url}`);
    response.statusCode = seen.headers['x-pass'] === 'yes' ? 200 : 418;
    response.setHeader('x-why', 'asked');
    response.end('no');
  });
  grpc = await startGrpc(({ attributes }) => {
    const { path = '', headers = {} } = attributes?.request?.http ?? {};
    asked.push(`grpc ${path} ${attributes?.source?.principal ?? ''}`);
    return headers['x-pass'] === 'yes'
      ? { status: { code: 0 } }
      : { status: { code: 7 }, httpResponse: { case: 'deniedResponse', value: { status: { code: 429 } } } };
  });
  const dead = await closedPort();
  services =
    PERMISSIVE +
    entry('authz-http.test', http.port, 'HTTP') +
    entry('authz-grpc.test', grpc.port, 'GRPC') +
    entry('authz-dead.test', dead, 'HTTP');
  world = await World.start(services, {
    extensionProviders: [
      {
        name: 'by-http',
        envoyExtAuthzHttp: {
          service: 'default/authz-http.test',
          port: http.port,
          timeout: '5s',
          includeRequestHeadersInCheck: ['x-pass'],
          headersToDownstreamOnDeny: ['x-why'],
        },
      },
      { name: 'by-grpc', envoyExtAuthzGrpc: { service: 'authz-grpc.test', port: grpc.port, timeout: '5s' } },
      {
        name: 'dead',
        envoyExtAuthzHttp: { service: 'authz-dead.test', port: dead, timeout: '5s', statusOnError: '503' },
      },
      {
        name: 'dead-but-open',
        envoyExtAuthzHttp: { service: 'authz-dead.test', port: dead, timeout: '5s', failOpen: true },
      },
    ],
  });
  const write = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  server = await world.serve({ service: 'echo', logger }, (request, response) => {
    request.resume();
    response.end(`got ${request.url}`);
  });
  web = await world.join({ serviceAccount: 'web' });
  batch = await world.join({ serviceAccount: 'batch' });
  admin = await world.join({ namespace: 'ops', serviceAccount: 'admin' });
});

afterAll(async () => {
  await world.close();
  http.stop();
  grpc.stop();
});

const URL = 'http://echo.default';
const DENIED = '403 RBAC: access denied';
const configure = (...documents: readonly string[]) => world.configure(services + documents.join(''));
const answers = (...pending: readonly Promise<string>[]) => Promise.all(pending);

/** What a client outside of the mesh gets. */
const outside = async (path = '/') => {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, {
    headers: { connection: 'close' },
  });
  return `${response.status} ${await response.text()}`;
};

describe('identities', () => {
  test('a principal is let in, others are not, nor is plaintext', async () => {
    configure(policy('a', '{rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/web]}}]}]}'));
    await becomes(
      () => answers(ask(web, `${URL}/`), ask(batch, `${URL}/`), ask(admin, `${URL}/`), outside()),
      ['200 got /', DENIED, DENIED, DENIED],
    );
  });

  test('a namespace', async () => {
    configure(policy('a', '{rules: [{from: [{source: {namespaces: [ops]}}]}]}'));
    await becomes(() => answers(ask(web, `${URL}/`), ask(admin, `${URL}/`)), [DENIED, '200 got /']);
  });

  test('a service account of the own namespace', async () => {
    configure(policy('a', '{rules: [{from: [{source: {serviceAccounts: [batch]}}]}]}'));
    await becomes(() => answers(ask(web, `${URL}/`), ask(batch, `${URL}/`)), [DENIED, '200 got /']);
  });

  test('a policy of the root namespace holds everywhere', async () => {
    configure(
      policy('a', '{action: DENY, rules: [{from: [{source: {notPrincipals: ["*"]}}]}]}', 'istio-system'),
    );
    await becomes(() => answers(outside(), ask(web, `${URL}/`)), [DENIED, '200 got /']);
  });

  test('addresses of callers', async () => {
    configure(policy('a', '{rules: [{from: [{source: {ipBlocks: [127.0.0.0/8]}}]}]}'));
    await becomes(() => answers(ask(web, `${URL}/`)), ['200 got /']);
    configure(policy('a', '{action: DENY, rules: [{from: [{source: {ipBlocks: [127.0.0.0/8]}}]}]}'));
    await becomes(() => answers(ask(web, `${URL}/`)), [DENIED]);
  });
});

describe('operations', () => {
  test('a path is denied, however it is written', async () => {
    configure(policy('a', '{action: DENY, rules: [{to: [{operation: {paths: ["/admin*"]}}]}]}'));
    await becomes(() => answers(ask(web, `${URL}/`), ask(web, `${URL}/admin/x?y=1`)), ['200 got /', DENIED]);
  });

  test('templates', async () => {
    configure(policy('a', '{rules: [{to: [{operation: {paths: ["/users/{*}/photo", "/open/{**}"]}}]}]}'));
    await becomes(
      () =>
        answers(
          ask(web, `${URL}/users/7/photo`),
          ask(web, `${URL}/users/7/8/photo`),
          ask(web, `${URL}/open/a/b/c`),
          ask(web, `${URL}/users`),
        ),
      ['200 got /users/7/photo', DENIED, '200 got /open/a/b/c', DENIED],
    );
  });

  test('DENY goes before ALLOW', async () => {
    configure(
      policy('a', '{rules: [{}]}'),
      policy('b', '{action: DENY, rules: [{to: [{operation: {methods: [DELETE]}}]}]}'),
    );
    await becomes(
      () => answers(ask(web, `${URL}/`), ask(web, `${URL}/`, { method: 'DELETE' })),
      ['200 got /', DENIED],
    );
  });

  test('another policy reaches a connection that is open', async () => {
    configure(policy('a', '{rules: [{}]}'));
    await becomes(() => answers(ask(web, `${URL}/`)), ['200 got /']);
    configure(policy('a', '{}'));
    await becomes(() => answers(ask(web, `${URL}/`)), [DENIED]);
    configure();
    await becomes(() => answers(ask(web, `${URL}/`)), ['200 got /']);
  });
});

describe('tokens', () => {
  const authentication = () =>
    istio(
      'RequestAuthentication',
      'jwt',
      `jwtRules: [{ issuer: "https://issuer.test", jwks: '${jwks}' }]`,
    ).replace('networking.istio.io', 'security.istio.io');
  const bearer = async (claims: Record<string, unknown>) => ({
    headers: { authorization: `Bearer ${await token({ iss: 'https://issuer.test', sub: 'a', ...claims })}` },
  });

  test('a request principal and claims', async () => {
    configure(
      authentication(),
      policy(
        'a',
        '{rules: [{from: [{source: {requestPrincipals: ["https://issuer.test/*"]}}], when: [{key: "request.auth.claims[groups]", values: [staff]}]}]}',
      ),
    );
    const staff = await bearer({ groups: ['x', 'staff'] });
    const guest = await bearer({ groups: ['guest'] });
    await becomes(
      () => answers(ask(web, `${URL}/`, staff), ask(web, `${URL}/`, guest), ask(web, `${URL}/`)),
      ['200 got /', DENIED, DENIED],
    );
  });

  test('a claim within a claim, and who the token is for', async () => {
    configure(
      authentication(),
      policy(
        'a',
        '{rules: [{when: [{key: "request.auth.claims[realm][role]", values: ["ad*"]}, {key: request.auth.audiences, values: [me]}]}]}',
      ),
    );
    const good = await bearer({ realm: { role: 'admin' }, aud: ['you', 'me'] });
    const bad = await bearer({ realm: { role: 'user' }, aud: 'me' });
    await becomes(() => answers(ask(web, `${URL}/`, good), ask(web, `${URL}/`, bad)), ['200 got /', DENIED]);
  });
});

describe('CUSTOM', () => {
  const custom = (provider: string) =>
    policy(
      'c',
      `{action: CUSTOM, provider: {name: ${provider}}, rules: [{to: [{operation: {paths: ["/ask*"]}}]}]}`,
    );
  const pass = { headers: { 'x-pass': 'yes' } };

  test('a service over HTTP is asked about what matches, and about nothing else', async () => {
    configure(custom('by-http'));
    await becomes(
      () => answers(ask(web, `${URL}/ask/1`), ask(web, `${URL}/ask/2`, pass)),
      ['418 no', '200 got /ask/2'],
    );
    asked.length = 0;
    expect(await ask(web, `${URL}/free`)).toBe('200 got /free');
    expect(await ask(web, `${URL}/ask/3`, pass)).toBe('200 got /ask/3');
    expect(asked).toEqual(['http /ask/3']);
    expect((await web.fetch(`${URL}/ask/4`)).headers.get('x-why')).toBe('asked');
  });

  test('a service over gRPC hears who calls', async () => {
    configure(custom('by-grpc'));
    await becomes(
      () => answers(ask(web, `${URL}/ask/1`), ask(web, `${URL}/ask/2`, pass)),
      ['429 ', '200 got /ask/2'],
    );
    expect(asked).toContain('grpc /ask/2 spiffe://cluster.local/ns/default/sa/web');
  });

  test('what it lets pass, DENY may still refuse', async () => {
    configure(
      custom('by-http'),
      policy('d', '{action: DENY, rules: [{to: [{operation: {paths: [/ask/no]}}]}]}'),
    );
    await becomes(
      () => answers(ask(web, `${URL}/ask/no`, pass), ask(web, `${URL}/ask/yes`, pass)),
      [DENIED, '200 got /ask/yes'],
    );
  });

  test('a service that is down refuses, unless its provider is said to fail open', async () => {
    configure(custom('dead'));
    await becomes(
      () => answers(ask(web, `${URL}/ask`, pass), ask(web, `${URL}/free`)),
      ['503 ', '200 got /free'],
    );
    configure(custom('dead-but-open'));
    await becomes(() => answers(ask(web, `${URL}/ask`)), ['200 got /ask']);
  });

  test('a provider that nobody knows refuses', async () => {
    configure(custom('nobody'));
    await becomes(
      () => answers(ask(web, `${URL}/ask`, pass), ask(web, `${URL}/free`)),
      [DENIED, '200 got /free'],
    );
  });
});

describe('what is tried out', () => {
  test('a dry run decides nothing, and is counted', async () => {
    configure(policy('a', '{}', 'default', '{istio.io/dry-run: "true"}'));
    const denied = /envoy_http_rbac_shadow_denied\{envoy_rbac_http_prefix="istio_dry_run_allow_"\} [1-9]/;
    await becomes(
      async () => [await ask(web, `${URL}/dry`), denied.test(server.mesh.metrics())],
      ['200 got /dry', true],
    );
  });

  test('AUDIT decides nothing, and writes a line', async () => {
    configure(policy('a', '{action: AUDIT, rules: [{to: [{operation: {paths: [/seen]}}]}]}'));
    const audited = () => lines.filter((line) => line.startsWith('info audit'));
    await becomes(async () => {
      await ask(web, `${URL}/seen?secret=1`);
      return audited().length > 0;
    }, true);
    const seen = audited().length;
    expect(await ask(web, `${URL}/unseen`)).toBe('200 got /unseen');
    expect(audited()).toHaveLength(seen);
    expect(audited()[0]).toBe(
      'info audit {"policy":"ns[default]-policy[a]-rule[0]","request":"GET echo.default/seen","principal":"spiffe://cluster.local/ns/default/sa/web","source":"127.0.0.1"}',
    );
  });
});
