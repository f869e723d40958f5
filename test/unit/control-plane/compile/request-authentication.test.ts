import { describe, expect, test } from 'vitest';
import { createCompiler } from '../../../../src/control-plane/compile/compile.js';
import type { IssuerKeys } from '../../../../src/control-plane/compile/issuer-keys.js';
import { DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import type { JwtAuthnConfig } from '../../../../src/model/jwt-authn.js';
import type { NodeMetadata } from '../../../../src/model/node.js';
import { nodeOf, registryOf, viewOf } from './mesh.js';

const INBOUND = 'xds.istio.io/grpc/lds/inbound/127.0.0.1:8080';

const document = (name: string, spec: string, namespace = 'default'): string =>
  `apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n---\n`;

const rule = (issuer: string): string =>
  `{jwtRules: [{issuer: ${issuer}, jwksUri: "https://${issuer}/keys"}]}`;

function served(metadata: Partial<NodeMetadata> = {}) {
  return nodeOf({
    LABELS: { version: 'v1' },
    INMESH_WORKLOADS: [
      { service: 'web', address: '127.0.0.1', port: 8080, portName: 'http', tlsMode: 'istio' },
    ],
    ...metadata,
  });
}

/** The JWT filter of the port that the node serves. */
function filterOf(text: string, node = served(), keys?: IssuerKeys): JwtAuthnConfig | undefined {
  const compiler = createCompiler(DEFAULT_MESH_CONFIG, keys && { keys });
  const listener = compiler.compile(viewOf(text), registryOf([]), node).listenerOf(INBOUND);
  if (listener?.kind !== 'inbound') throw new Error('no listener');
  const configs = listener.filterChains.map(({ http }) => http?.filters.map(({ config }) => config) ?? []);
  expect(configs[0]).toEqual(configs.at(-1));
  return configs[0]?.find((config): config is JwtAuthnConfig => config.kind === 'jwt-authn');
}

const issuersOf = (config: JwtAuthnConfig | undefined) =>
  [...(config?.providers ?? [])].map(([name, { issuer }]) => `${name} ${issuer}`);

describe('which rules a workload has', () => {
  test('those without a selector in its namespace and the root namespace, by issuer', () => {
    const text =
      document('a', rule('own.example')) +
      document('b', rule('mesh.example'), 'istio-system') +
      document('c', rule('other.example'), 'elsewhere');
    expect(issuersOf(filterOf(text))).toEqual(['origins-0 mesh.example', 'origins-1 own.example']);
  });

  test('those whose selector its labels satisfy, also from the root namespace', () => {
    const select = (labels: string, issuer: string) =>
      `{selector: {matchLabels: {${labels}}}, ${rule(issuer).slice(1)}`;
    const text =
      document('a', select('app: web', 'app.example')) +
      document('b', select('app: other', 'other.example')) +
      document('c', select('version: v1', 'version.example'), 'istio-system');
    expect(issuersOf(filterOf(text))).toEqual(['origins-0 app.example', 'origins-1 version.example']);
  });

  test('none that is for a gateway by its name', () => {
    const text = document(
      'a',
      `{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: g}], ${rule('a.example').slice(1)}`,
    );
    expect(filterOf(text)).toBeUndefined();
  });

  test('without rules there is no filter', () => {
    expect(filterOf(document('a', '{}'))).toBeUndefined();
  });
});

describe('what the filter demands', () => {
  test('of one issuer: a good token or none', () => {
    expect(filterOf(document('a', rule('a.example')))?.rules[0]?.requires).toEqual({
      kind: 'any',
      requirements: [{ kind: 'provider', name: 'origins-0', audiences: [] }, { kind: 'allow-missing' }],
    });
  });

  test('of several: a good token of any, or of each a good one or none', () => {
    const text = document('a', rule('a.example')) + document('b', rule('b.example'));
    const one = (name: string) => ({ kind: 'provider', name, audiences: [] });
    const optional = (name: string) => ({
      kind: 'any',
      requirements: [one(name), { kind: 'allow-missing' }],
    });
    expect(filterOf(text)?.rules[0]?.requires).toEqual({
      kind: 'any',
      requirements: [
        one('origins-0'),
        one('origins-1'),
        { kind: 'all', requirements: [optional('origins-0'), optional('origins-1')] },
      ],
    });
  });

  test('every field of a rule has its place in the provider', () => {
    const text = document(
      'a',
      `
  jwtRules:
  - issuer: https://issuer.example
    audiences: [one]
    jwks: '{"keys":[]}'
    fromHeaders: [{name: X-Token, prefix: "T "}]
    fromParams: [token]
    fromCookies: [cookie]
    outputPayloadToHeader: X-Payload
    outputClaimToHeaders: [{header: X-Group, claim: groups.first}]
    forwardOriginalToken: true
    spaceDelimitedClaims: [roles]`,
    );
    const config = filterOf(text);
    expect(config?.bypassCorsPreflight).toBe(true);
    expect(config?.providers.get('origins-0')).toMatchObject({
      issuer: 'https://issuer.example',
      audiences: ['one'],
      jwks: { kind: 'local', text: '{"keys":[]}' },
      fromHeaders: [{ name: 'x-token', valuePrefix: 'T ' }],
      fromParams: ['token'],
      fromCookies: ['cookie'],
      forwardPayloadHeader: 'x-payload',
      claimToHeaders: [{ header: 'x-group', claim: 'groups.first' }],
      forward: true,
      payloadInMetadata: 'payload',
      spaceDelimitedClaims: ['permission', 'roles', 'scope'],
    });
  });

  test('without the keys of an issuer there are none, and a key alone is a set of one', () => {
    const key = '{"kty":"oct","k":"AA"}';
    const text =
      document('a', rule('a.example')) + document('b', `{jwtRules: [{issuer: b.example, jwks: '${key}'}]}`);
    const texts = [...(filterOf(text)?.providers.values() ?? [])].map(({ jwks }) => jwks);
    expect(texts).toEqual([
      { kind: 'local', text: '{"keys":[]}' },
      { kind: 'local', text: `{"keys":[${key}]}` },
    ]);
  });
});

test('keys that come later reach the listener without a change of configuration', () => {
  let text = '{"keys":[]}';
  let revision = 0;
  const keys = {
    get revision() {
      return revision;
    },
    keysOf: () => text,
  };
  const compiler = createCompiler(DEFAULT_MESH_CONFIG, { keys });
  const view = viewOf(document('a', rule('a.example')));
  const node = served();
  const keysIn = () =>
    JSON.stringify(compiler.compile(view, registryOf([]), node).listenerOf(INBOUND), (_, value) =>
      value instanceof Map ? [...value] : value,
    );
  expect(keysIn()).not.toContain('fresh');
  text = '{"keys":["fresh"]}';
  expect(keysIn()).not.toContain('fresh');
  revision++;
  expect(keysIn()).toContain('fresh');
});
