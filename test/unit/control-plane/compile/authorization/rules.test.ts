import { describe, expect, test } from 'vitest';
import type { ConnectionInfo, TlsInfo } from '../../../../../src/service/connection.js';
import { makeRequest } from '../../../filters/support.js';
import { authorizationOf, passes, policy } from './support.js';

type Change = Parameters<typeof makeRequest>[0] & {
  readonly principal?: string;
  readonly ip?: string;
  readonly client?: string;
  readonly port?: number;
  readonly sni?: string;
  readonly claims?: Record<string, unknown>;
};

/** A request on a connection of the mesh. */
function request(change: Change = {}) {
  const { principal, ip = '10.0.0.1', client, port = 8080, sni, claims, ...rest } = change;
  const made = makeRequest(rest);
  const peer = principal === undefined ? undefined : certificate(`spiffe://${principal}`);
  const tls = peer && ({ serverName: sni, peer, peerVerified: true } as TlsInfo);
  const connection: ConnectionInfo = {
    id: 1,
    directRemote: { address: ip, port: 4000 },
    remote: { address: client ?? ip, port: 4000 },
    local: { address: '10.0.0.9', port },
    tls,
  };
  made.context.connection = connection;
  if (claims !== undefined) {
    made.context.dynamicMetadata = new Map([['envoy.filters.http.jwt_authn', { payload: claims }]]);
  }
  return made;
}

function certificate(uri: string): NonNullable<TlsInfo['peer']> {
  return {
    uriSans: [uri],
    dnsSans: [],
    subject: '',
    issuer: '',
    serial: '1',
    sha256: '',
    notBeforeMs: 0,
    notAfterMs: 0,
    pem: '',
  };
}

const allows = (rules: string, change: Change, settings = {}) =>
  passes(authorizationOf(policy('one', `{rules: ${rules}}`), undefined, settings).http, request(change));

describe('a workload without policies', () => {
  test('has no filters', () => {
    const other =
      policy('one', '{selector: {matchLabels: {app: b}}}') + policy('two', '{}', 'namespace: other');
    expect(authorizationOf(other)).toEqual({ http: [], tcp: [], grpc: [], problems: [] });
  });
});

describe('an empty policy', () => {
  test('allows nothing, as an empty spec', () => {
    expect(passes(authorizationOf(policy('one', '{}')).http, request())).toBe(false);
  });

  test('allows everything by an empty rule', () => {
    expect(allows('[{}]', {})).toBe(true);
  });
});

describe('a source', () => {
  test.each<[string, Change, boolean]>([
    ['{principals: [cluster.local/ns/a/sa/b]}', { principal: 'cluster.local/ns/a/sa/b' }, true],
    ['{principals: [cluster.local/ns/a/sa/b]}', { principal: 'cluster.local/ns/a/sa/bb' }, false],
    ['{principals: [cluster.local/ns/a/sa/b]}', {}, false],
    ['{principals: ["*"]}', { principal: 'x' }, true],
    ['{principals: ["*"]}', {}, false],
    ['{principals: ["cluster.local/ns/a/*"]}', { principal: 'cluster.local/ns/a/sa/b' }, true],
    ['{principals: ["*/sa/b"]}', { principal: 'other.org/ns/a/sa/b' }, true],
    ['{principals: ["*.org/ns/a/sa/b"]}', { principal: 'otherxorg/ns/a/sa/b' }, false],
    ['{notPrincipals: ["*/sa/b"]}', { principal: 'other.org/ns/a/sa/b' }, false],
    ['{namespaces: [a]}', { principal: 'cluster.local/ns/a/sa/b' }, true],
    ['{namespaces: [a]}', { principal: 'cluster.local/ns/aa/sa/b' }, false],
    ['{namespaces: ["a.c"]}', { principal: 'cluster.local/ns/abc/sa/b' }, false],
    ['{namespaces: ["a*"]}', { principal: 'cluster.local/ns/aa/sa/b' }, true],
    ['{serviceAccounts: [b]}', { principal: 'cluster.local/ns/default/sa/b' }, true],
    ['{serviceAccounts: [b]}', { principal: 'cluster.local/ns/other/sa/b' }, false],
    ['{serviceAccounts: [other/b]}', { principal: 'cluster.local/ns/other/sa/b' }, true],
    ['{serviceAccounts: [other/b]}', { principal: 'cluster.local/ns/other/sa/b-more' }, false],
    ['{trustDomains: [a.org]}', { principal: 'a.org/ns/x/sa/y' }, true],
    ['{trustDomains: [a.org]}', { principal: 'a.org.evil/ns/x/sa/y' }, false],
    ['{trustDomains: ["*.org"]}', { principal: 'a.org/ns/x/sa/y' }, true],
    ['{trustDomains: ["*.org"]}', { principal: 'a.com/ns/b.org/sa/y' }, false],
    ['{notTrustDomains: [a.org]}', { principal: 'a.org/ns/x/sa/y' }, false],
    ['{ipBlocks: [10.0.0.0/8]}', { ip: '10.1.2.3', client: '192.0.2.1' }, true],
    ['{remoteIpBlocks: [10.0.0.0/8]}', { ip: '10.1.2.3', client: '192.0.2.1' }, false],
    ['{ipBlocks: ["2001:db8::/32"]}', { ip: '2001:db8::1' }, true],
    ['{ipBlocks: [10.0.0.0/8], notIpBlocks: [10.1.0.0/16]}', { ip: '10.1.2.3' }, false],
    ['{requestPrincipals: ["*"]}', { claims: { iss: 'i', sub: 's' } }, true],
    ['{requestPrincipals: ["*"]}', {}, false],
    ['{requestPrincipals: ["https://a.org/x/s"]}', { claims: { iss: 'https://a.org/x', sub: 's' } }, true],
    ['{requestPrincipals: ["https://a.org/*"]}', { claims: { iss: 'https://a.org', sub: 's' } }, true],
    ['{requestPrincipals: ["*/s"]}', { claims: { iss: 'https://a.org', sub: 't' } }, false],
  ])('%s against %j: %s', (source, change, expected) => {
    expect(allows(`[{from: [{source: ${source}}]}]`, change)).toBe(expected);
  });

  test('all of its fields have to match, one of several sources', () => {
    const rules =
      '[{from: [{source: {namespaces: [a], ipBlocks: [10.0.0.1]}}, {source: {namespaces: [b]}}]}]';
    expect(allows(rules, { principal: 'td/ns/a/sa/x', ip: '10.0.0.1' })).toBe(true);
    expect(allows(rules, { principal: 'td/ns/a/sa/x', ip: '10.0.0.2' })).toBe(false);
    expect(allows(rules, { principal: 'td/ns/b/sa/x', ip: '10.0.0.2' })).toBe(true);
  });
});

describe('an operation', () => {
  test.each<[string, Change, boolean]>([
    ['{paths: [/a]}', { path: '/a?x=1' }, true],
    ['{paths: [/a]}', { path: '/a/b' }, false],
    ['{paths: ["/a/*"]}', { path: '/a/b' }, true],
    ['{paths: ["*/b"]}', { path: '/a/b' }, true],
    ['{paths: ["/a/{*}/c"]}', { path: '/a/b/c' }, true],
    ['{paths: ["/a/{*}/c"]}', { path: '/a/b/b/c' }, false],
    ['{paths: ["/a/{**}"]}', { path: '/a/b/c' }, true],
    ['{notPaths: ["/a/{**}"]}', { path: '/a/b/c' }, false],
    ['{methods: [GET]}', { method: 'GET' }, true],
    ['{methods: [GET]}', { method: 'POST' }, false],
    ['{notMethods: [GET]}', { method: 'GET' }, false],
    ['{hosts: [a.org]}', { authority: 'A.ORG' }, true],
    ['{hosts: ["*.org"]}', { authority: 'a.Org' }, true],
    ['{hosts: ["a.*"]}', { authority: 'A.com' }, true],
    ['{ports: ["8080"]}', { port: 8080 }, true],
    ['{notPorts: ["8080"]}', { port: 8080 }, false],
  ])('%s against %j: %s', (operation, change, expected) => {
    expect(allows(`[{to: [{operation: ${operation}}]}]`, change)).toBe(expected);
  });
});

describe('a condition', () => {
  test.each<[string, Change, boolean]>([
    ['{key: "request.headers[X-Team]", values: [a]}', { header: { 'x-team': 'a' } }, true],
    ['{key: "request.headers[x-team]", values: ["*"]}', {}, false],
    ['{key: "request.headers[x-team]", notValues: [a]}', { header: { 'x-team': 'a' } }, false],
    [
      '{key: "request.experimental.inline.headers[x-team]", values: [b]}',
      { header: { 'x-team': 'a,b,c' } },
      true,
    ],
    [
      '{key: "request.experimental.inline.headers[x-team]", values: [b]}',
      { header: { 'x-team': 'a,bb,c' } },
      false,
    ],
    ['{key: "request.auth.claims[groups]", values: [admin]}', { claims: { groups: ['x', 'admin'] } }, true],
    ['{key: "request.auth.claims[groups]", values: [admin]}', { claims: { groups: 'admin' } }, true],
    ['{key: "request.auth.claims[a][b]", values: ["x*"]}', { claims: { a: { b: ['xy'] } } }, true],
    ['{key: "request.auth.claims[a][b]", values: ["x*"]}', { claims: { a: { c: ['xy'] } } }, false],
    ['{key: request.auth.audiences, values: [me]}', { claims: { aud: ['you', 'me'] } }, true],
    ['{key: request.auth.presenter, values: [p]}', { claims: { azp: 'p' } }, true],
    ['{key: source.ip, values: [10.0.0.0/24]}', { ip: '10.0.0.77' }, true],
    ['{key: remote.ip, values: [10.0.0.0/24]}', { client: '192.0.2.1' }, false],
    ['{key: destination.ip, values: [10.0.0.9]}', {}, true],
    ['{key: destination.port, values: ["8080"]}', { port: 8081 }, false],
    ['{key: connection.sni, values: ["*.a.org"]}', { principal: 'td/ns/a/sa/b', sni: 'x.a.org' }, true],
    ['{key: source.serviceAccount, values: [a/b]}', { principal: 'td/ns/a/sa/b' }, true],
    ['{key: source.trustDomain, values: [td]}', { principal: 'td/ns/a/sa/b' }, true],
  ])('%s against %j: %s', (condition, change, expected) => {
    expect(allows(`[{when: [${condition}]}]`, change)).toBe(expected);
  });
});

describe('trust domains', () => {
  const settings = { trustDomain: 'new', trustDomainAliases: ['old'] };
  const rules = (principal: string) => `[{from: [{source: {principals: ["${principal}"]}}]}]`;

  test.each([
    ['old/ns/a/sa/b', 'new/ns/a/sa/b', true],
    ['new/ns/a/sa/b', 'old/ns/a/sa/b', true],
    ['cluster.local/ns/a/sa/b', 'old/ns/a/sa/b', true],
    ['other/ns/a/sa/b', 'old/ns/a/sa/b', false],
    ['other/ns/a/sa/b', 'other/ns/a/sa/b', true],
  ])('the principal %s is met by %s: %s', (principal, caller, expected) => {
    expect(allows(rules(principal), { principal: caller }, settings)).toBe(expected);
  });

  test('a trust domain of a policy is met by its aliases', () => {
    const byDomain = '[{from: [{source: {trustDomains: [old]}}]}]';
    expect(allows(byDomain, { principal: 'new/ns/a/sa/b' }, settings)).toBe(true);
  });
});

describe('several policies', () => {
  const text =
    policy('allow', '{rules: [{to: [{operation: {paths: [/a, /b]}}]}]}') +
    policy('deny', '{action: DENY, rules: [{to: [{operation: {paths: [/b]}}]}]}') +
    policy(
      'mesh',
      '{action: DENY, rules: [{to: [{operation: {methods: [DELETE]}}]}]}',
      'namespace: istio-system',
    );

  test.each([
    ['GET', '/a', true],
    ['GET', '/b', false],
    ['GET', '/c', false],
    ['DELETE', '/a', false],
  ])('%s %s passes: %s', (method, path, expected) => {
    expect(passes(authorizationOf(text).http, request({ method, path }))).toBe(expected);
  });

  test('decide in the order of Istio', () => {
    const audited = text + policy('audit', '{action: AUDIT, rules: [{}]}');
    const actions = authorizationOf(audited).http.map(
      ({ config }) => config.kind === 'rbac' && config.rules?.action,
    );
    expect(actions).toEqual(['log', 'deny', 'allow']);
  });

  test('have names of their own in a listener', () => {
    const names = authorizationOf(text).http.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('several providers', () => {
  const both = ['a', 'b']
    .map((name) => policy(name, `{action: CUSTOM, provider: {name: ${name}}, rules: [{}]}`))
    .join('');

  test('are refused for one workload', () => {
    const { http, problems } = authorizationOf(both);
    expect(problems).toEqual([expect.stringContaining('one authorization provider, not several')]);
    expect(passes(http, request())).toBe(false);
  });

  test('are each asked where the mesh allows it', () => {
    const { http, problems } = authorizationOf(both, undefined, { severalAuthorizationProviders: true });
    expect(http.map(({ name }) => name)).toEqual([
      'envoy.filters.http.rbac.CUSTOM.a',
      'envoy.filters.http.rbac.CUSTOM.b',
    ]);
    // Neither is known here.
    expect(problems).toHaveLength(2);
  });
});

describe('a dry run', () => {
  test('decides nothing, and says what it would', () => {
    const text = policy('one', '{}', 'namespace: default, annotations: {istio.io/dry-run: "true"}');
    const { http } = authorizationOf(text);
    expect(passes(http, request())).toBe(true);
    expect(http).toMatchObject([
      { config: { rules: undefined, shadowRulesStatPrefix: 'istio_dry_run_allow_' } },
    ]);
  });

  test('of DENY has a prefix of its own', () => {
    const place = 'namespace: default, annotations: {istio.io/dry-run: "true"}';
    const { http } = authorizationOf(policy('one', '{action: DENY, rules: [{}]}', place));
    expect(http).toMatchObject([{ config: { shadowRulesStatPrefix: 'istio_dry_run_deny_' } }]);
  });
});

describe('who can look at connections alone', () => {
  const wide = '{rules: [{to: [{operation: {paths: [/a], ports: ["80"]}}]}]}';

  test('ignores a rule that allows by HTTP, so that nobody gets in', () => {
    expect(authorizationOf(policy('one', wide)).tcp).toMatchObject([
      { rules: { action: 'allow', policies: [] } },
    ]);
  });

  test('widens a rule that denies by HTTP', () => {
    const permissions = [
      { kind: 'and', of: [{ kind: 'or', of: [{ kind: 'destination-port', start: 80, end: 81 }] }] },
    ];
    expect(authorizationOf(policy('one', wide.replace('{', '{action: DENY, '))).tcp).toMatchObject([
      { rules: { policies: [{ permissions }] } },
    ]);
  });
});

describe("gRPC's own servers", () => {
  test.each(['{paths: ["/a/{*}"]}', '{paths: ["/a", "/b/{**}"]}'])(
    'deny whatever they cannot tell apart: %s',
    (operation) => {
      const text = policy('one', `{action: DENY, rules: [{to: [{operation: ${operation}}]}]}`);
      expect(passes(authorizationOf(text).grpc, request({ path: '/other/Method' }))).toBe(false);
    },
  );

  test('allow nobody by claims that they do not read', () => {
    const text = policy('one', '{rules: [{from: [{source: {requestPrincipals: ["*"]}}]}]}');
    expect(passes(authorizationOf(text).grpc, request({ claims: { iss: 'i', sub: 's' } }))).toBe(false);
  });

  test('get no rule by headers that they refuse (A41): it allows nobody, or denies more', () => {
    const rule = '{when: [{key: "request.headers[grpc-timeout]", values: ["1S"]}]}';
    const asked = request({ path: '/other/Method', header: { 'grpc-timeout': '1S' } });
    for (const action of ['ALLOW', 'DENY']) {
      const { grpc } = authorizationOf(policy('one', `{action: ${action}, rules: [${rule}]}`));
      expect(passes(grpc, asked)).toBe(false);
      expect(JSON.stringify(grpc)).not.toContain('grpc-timeout');
    }
  });

  test('get no rules that only log or are tried out', () => {
    const text =
      policy('audit', '{action: AUDIT, rules: [{}]}') +
      policy('dry', '{}', 'namespace: default, annotations: {istio.io/dry-run: "true"}');
    expect(authorizationOf(text).grpc).toEqual([]);
  });

  test('refuse what a provider would be asked about', () => {
    const text = policy(
      'one',
      '{action: CUSTOM, provider: {name: a}, rules: [{to: [{operation: {paths: [/x/Y]}}]}]}',
    );
    const { grpc } = authorizationOf(text);
    expect(passes(grpc, request({ path: '/x/Y' }))).toBe(false);
    expect(passes(grpc, request({ path: '/x/Z' }))).toBe(true);
  });
});
