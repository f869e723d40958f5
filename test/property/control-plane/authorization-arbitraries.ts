import fc from 'fast-check';
import type { CheckedRequest } from '../../../src/control-plane/policy/checked-request.js';

/** AuthorizationPolicies whose values often meet those of the requests below. */

const some = (...values: readonly string[]) =>
  fc.subarray([...values], { minLength: 1, maxLength: Math.min(values.length, 2) });
/** A few of some fields: with many, hardly anything would match. */
const few = (model: Readonly<Record<string, fc.Arbitrary<unknown>>>) =>
  fc
    .subarray(Object.entries(model), { minLength: 1, maxLength: 2 })
    .chain((entries) => fc.record(Object.fromEntries(entries)));
/** A field and its `not…`. */
const both = (name: string, values: fc.Arbitrary<string[]>) => ({
  [name]: values,
  [`not${name.charAt(0).toUpperCase()}${name.slice(1)}`]: values,
});

const PRINCIPALS = some(
  '*',
  'cluster.local/ns/shop/sa/web',
  'cluster.local/ns/shop/*',
  '*/sa/web',
  'old.example/ns/shop/sa/web',
  '*.example/ns/shop/sa/web',
);
const NAMESPACES = some('shop', 'sh*', '*', 'other');
const ACCOUNTS = some('web', 'shop/web', 'other/web', 'w');
const DOMAINS = some('cluster.local', '*', 'old.*', 'new.example');
const REQUEST_PRINCIPALS = some(
  '*',
  'https://a.example/alice',
  'https://a.example/*',
  '*/alice',
  '*.example/bob',
);
const ADDRESSES = some('10.0.0.0/8', '10.1.2.3', '192.0.2.0/24', '2001:db8::/32', '::ffff:10.0.0.0/104');
const PORTS = some('80', '8080');
const HOSTS = some('cart', 'CART.shop', 'cart:*', '*.shop', '*');
const METHODS = some('GET', 'POST', 'P*', '*', 'get');
const PATHS = some('/', '/a', '/a/*', '*/b', '*', '/a/{*}', '/{**}/b', '/a/b');

const operation = few({
  ...both('hosts', HOSTS),
  ...both('methods', METHODS),
  ...both('paths', PATHS),
  ...both('ports', PORTS),
});
const anonymous = few({ ...both('ipBlocks', ADDRESSES), ...both('remoteIpBlocks', ADDRESSES) });
const source = fc.oneof(
  anonymous,
  few({
    ...both('principals', PRINCIPALS),
    ...both('namespaces', NAMESPACES),
    ...both('requestPrincipals', REQUEST_PRINCIPALS),
    ...both('ipBlocks', ADDRESSES),
  }),
  few({ ...both('serviceAccounts', ACCOUNTS), ...both('trustDomains', DOMAINS) }),
);

/** What `when` may ask about, by key. */
const ATTRIBUTES: Readonly<Record<string, fc.Arbitrary<string[]>>> = {
  'request.headers[x-role]': some('admin', 'a*', '*', 'user,admin'),
  'request.headers[host]': HOSTS,
  'request.headers[:authority]': HOSTS,
  'request.headers[:method]': METHODS,
  'request.headers[authorization]': some('*', 'Bearer *', 'Basic *'),
  'request.headers[x-token]': some('*'),
  'request.headers[x-sub]': some('alice', '*', 'forged'),
  'request.headers[x-envoy-internal]': some('*'),
  'request.headers[x-envoy-original-path]': some('*', '/a*'),
  'request.headers[x-forwarded-client-cert]': some('*', '*/sa/web'),
  'request.experimental.inline.headers[x-role]': some('admin', 'a*', '*'),
  'source.ip': ADDRESSES,
  'remote.ip': ADDRESSES,
  'destination.ip': ADDRESSES,
  'destination.port': PORTS,
  'connection.sni': some('cart.shop', '*', 'cart*', '*.shop'),
  'experimental.envoy.filters.http.rbac[istio_dry_run_deny_shadow_engine_result]': some('denied', 'allowed'),
  'experimental.envoy.filters.http.rbac[enforced_engine_result]': some('allowed'),
  'experimental.envoy.filters.network.rbac[istio_dry_run_deny_shadow_engine_result]': some('denied'),
  'experimental.envoy.filters.http.jwt_authn[payload]': some('*'),
};
/** Those that ask who somebody is. */
const IDENTITIES: Readonly<Record<string, fc.Arbitrary<string[]>>> = {
  'source.namespace': NAMESPACES,
  'source.serviceAccount': ACCOUNTS,
  'source.trustDomain': DOMAINS,
  'source.principal': PRINCIPALS,
  'request.auth.principal': REQUEST_PRINCIPALS,
  'request.auth.audiences': some('shop', 'x'),
  'request.auth.presenter': some('app', '*'),
  'request.auth.claims[scope]': some('read', 'write', 'read write', 'r*'),
  'request.auth.claims[roles]': some('admin', 'a b', 'b'),
  'request.auth.claims[org][unit]': some('sales', '*'),
  'request.auth.claims[level]': some('3', '*'),
};

function when(attributes: Readonly<Record<string, fc.Arbitrary<string[]>>>) {
  const one = fc.constantFrom(...Object.keys(attributes)).chain((key) =>
    few({ values: attributes[key] ?? some('*'), notValues: attributes[key] ?? some('*') }).map((lists) => ({
      key,
      ...lists,
    })),
  );
  return fc.array(one, { minLength: 1, maxLength: 2 });
}

function ruleOf(from: fc.Arbitrary<object>, attributes: Parameters<typeof when>[0]) {
  const sources = fc.array(fc.record({ source: from }), { minLength: 1, maxLength: 2 });
  const operations = fc.array(fc.record({ operation }), { minLength: 1, maxLength: 2 });
  const parts = { from: sources, to: operations, when: when(attributes) };
  return fc
    .subarray(Object.entries(parts), { maxLength: 2 })
    .chain((some) => fc.record(Object.fromEntries(some)));
}

const identified = ruleOf(source, { ...ATTRIBUTES, ...IDENTITIES });
const rules = (rule: fc.Arbitrary<object>, minLength: number) => fc.array(rule, { minLength, maxLength: 2 });

const action = fc.oneof(
  { weight: 3, arbitrary: fc.record({ action: fc.constant('ALLOW'), rules: rules(identified, 0) }) },
  {
    weight: 3,
    arbitrary: fc.record({ action: fc.constant('DENY'), rules: rules(identified, 1) }),
  },
  { weight: 2, arbitrary: fc.record({ action: fc.constant('AUDIT'), rules: rules(identified, 1) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      action: fc.constant('CUSTOM'),
      provider: fc.record({ name: fc.constantFrom('over-grpc', 'over-http', 'over-http', 'gone') }),
      rules: rules(ruleOf(anonymous, ATTRIBUTES), 1),
    }),
  },
);

const scope = fc.constantFrom(
  {},
  {},
  {},
  { selector: { matchLabels: { app: 'cart' } } },
  { selector: { matchLabels: { version: 'v1' } } },
  { selector: { matchLabels: { app: 'other' } } },
  { targetRefs: [{ kind: 'Service', name: 'cart' }] },
);

const policy = fc.record({
  namespace: fc.constantFrom('shop', 'shop', 'shop', 'istio-system', 'other'),
  isDryRun: fc.nat(3).map((one) => one === 0),
  spec: fc.tuple(action, scope).map(([one, target]) => ({ ...one, ...target })),
});

/** Documents of policies. */
export const policies = fc.array(policy, { minLength: 1, maxLength: 5 }).map((all) =>
  all.map(({ namespace, isDryRun, spec }, index) => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: {
      name: `p${index}`,
      namespace,
      annotations: isDryRun && ['ALLOW', 'DENY'].includes(spec.action) ? { 'istio.io/dry-run': 'true' } : {},
    },
    spec,
  })),
);

/** How tokens of https://a.example are read. */
export const jwtRule = fc.record(
  {
    forwardOriginalToken: fc.boolean(),
    spaceDelimitedClaims: fc.constantFrom(['roles'], []),
    outputClaimToHeaders: fc.constantFrom(
      [{ header: 'X-Sub', claim: 'sub' }],
      [{ header: 'x-sub', claim: 'org.unit' }],
    ),
    fromHeaders: fc.constant([{ name: 'X-Token', prefix: '' }]),
  },
  { requiredKeys: [] },
);

const claims = fc.record(
  {
    iss: fc.constant('https://a.example'),
    sub: fc.constantFrom('alice', 'bob'),
    aud: fc.constantFrom('shop', ['x', 'y']),
    azp: fc.constant('app'),
    scope: fc.constantFrom('read', 'read write', ['read']),
    roles: fc.constantFrom('a b', ['admin', 'b']),
    org: fc.constantFrom({ unit: 'sales' }, { unit: ['sales'] }),
    level: fc.constantFrom(3, '3', true),
  },
  { requiredKeys: ['iss', 'sub'] },
);

const headers = fc.array(
  fc.constantFrom<readonly [string, string]>(
    ['x-role', 'admin'],
    ['X-Role', 'user,admin'],
    ['x-role', 'user'],
    ['authorization', 'Basic YTpi'],
    ['x-sub', 'forged'],
    ['x-envoy-internal', 'true'],
    ['X-Envoy-Original-Path', '/a'],
    ['x-forwarded-client-cert', 'URI=spiffe://cluster.local/ns/shop/sa/web'],
  ),
  { maxLength: 3 },
);
const address = fc.constantFrom('10.1.2.3', '10.9.9.9', '192.0.2.7', '2001:db8::1', '::ffff:10.1.2.3');

/** Requests and connections. */
export const request: fc.Arbitrary<CheckedRequest> = fc.record(
  {
    protocol: fc.constantFrom('http' as const, 'http' as const, 'http' as const, 'tcp' as const),
    method: fc.constantFrom('GET', 'POST', 'get'),
    authority: fc.constantFrom('cart', 'cart.shop', 'Cart.Shop.:8080', 'cart:80'),
    path: fc.constantFrom(
      '/',
      '/a',
      '/a?q=/b',
      '/a/b',
      '/a//b',
      '/x/../a',
      '/a;v=1/b',
      '/a%2Fb',
      '/A',
      '/c/d/b',
      '/a#b',
    ),
    headers,
    principal: fc.constantFrom(
      'cluster.local/ns/shop/sa/web',
      'spiffe://old.example/ns/shop/sa/web',
      'new.example/ns/other/sa/web',
      'cluster.local/ns/shop/sa/other',
    ),
    sourceIp: address,
    remoteIp: address,
    destinationIp: address,
    port: fc.constantFrom(80, 8080),
    serverName: fc.constantFrom('cart.shop', 'other'),
    claims,
  },
  { requiredKeys: ['protocol'] },
);
