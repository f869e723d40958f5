import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  abort,
  type ConfiguredMesh,
  canary,
  configMap,
  defineMesh,
  delay,
  destinationRule,
  document,
  fromYaml,
  type MeshDocument,
  mtls,
  namespace,
  regex,
  retry,
  seconds,
  service,
  split,
  toYaml,
  virtualService,
} from '../../../src/config.js';
// Loaded here, so that no test waits for what it loads on demand.
import '../../../src/control-plane.js';
import { MeshError } from '../../../src/runtime/errors.js';

const rule = destinationRule('reviews', {
  subsets: { v1: { labels: { version: 'v1' } }, v2: { labels: { version: 'v2' } } },
});
const routes = virtualService('reviews', {
  hosts: ['reviews'],
  http: [
    { route: split(rule, { v1: 90, v2: 10 }), timeout: seconds(2), retries: retry(3, { on: ['5xx', 503] }) },
  ],
});

/** Documents as plain JavaScript may give them. */
const untyped = (value: unknown) => value as MeshDocument;

function thrown(run: () => unknown): MeshError {
  try {
    run();
  } catch (error) {
    if (MeshError.is(error)) return error;
  }
  throw new Error('no MeshError was thrown');
}

describe('documents', () => {
  test('are frozen plain data without anything but their fields', () => {
    expect(Object.keys(rule)).toEqual(['apiVersion', 'kind', 'metadata', 'spec']);
    expect(JSON.parse(JSON.stringify(rule))).toEqual(rule);
    expect(structuredClone(rule)).toEqual(rule);
    expect(
      [rule, rule.metadata, rule.spec.subsets, rule.spec.subsets?.[0]?.labels].every(Object.isFrozen),
    ).toBe(true);
  });

  test('do not change with what they were made of', () => {
    const hosts = ['a'];
    const made = virtualService('a', { hosts });
    hosts.push('b');
    expect(made.spec.hosts).toEqual(['a']);
  });

  test('of kinds without a spec have their content beside the metadata', () => {
    expect(configMap('a', { data: { mesh: '' } })).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a' },
      data: { mesh: '' },
    });
  });

  test('of which only metadata are read have nothing else', () => {
    expect(namespace('shop')).toEqual({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  });

  test('leave out what is undefined', () => {
    expect(virtualService('a', { hosts: ['a'], http: undefined })).toEqual(
      virtualService('a', { hosts: ['a'] }),
    );
  });

  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  let deep: unknown = 1;
  for (let level = 0; level < 70; level++) deep = [deep];
  let wide: unknown = 'x';
  for (let level = 0; level < 18; level++) wide = [wide, wide];
  test.each([
    ['a function', { hosts: [() => 'a'] }, 'spec.hosts[0] can not be a function'],
    ['a symbol', { hosts: Symbol('a') }, 'spec.hosts can not be a symbol'],
    ['a bigint', { hosts: [1n] }, 'spec.hosts[0] can not be a bigint'],
    ['a date', { when: new Date(0) }, 'spec.when can not be a Date'],
    ['a map', { hosts: new Map() }, 'spec.hosts can not be a Map'],
    ['bytes', { body: new Uint8Array(1) }, 'spec.body can not be a Uint8Array'],
    ['an expression', { uri: /a/ }, 'spec.uri can not be a RegExp'],
    ['a promise', { hosts: Promise.resolve([]) }, 'spec.hosts can not be a Promise'],
    ['NaN', { weight: Number.NaN }, 'spec.weight can not be NaN'],
    ['infinity', { weight: -1 / 0 }, 'spec.weight can not be -Infinity'],
    ['a number that is not exact', { weight: 2 ** 53 }, 'spec.weight can not be the number 9007199254740992'],
    ['undefined in a list', { hosts: ['a', undefined] }, 'spec.hosts[1] can not be undefined'],
    ['a hole in a list', { hosts: Array(1) }, 'spec.hosts[0] can not be undefined'],
    [
      '__proto__',
      JSON.parse('{"http": [{"__proto__": {"x": 1}}]}'),
      'spec.http[0].__proto__ can not be a field',
    ],
    ['half a character', { hosts: ['\ud800'] }, 'spec.hosts[0] can not be half of a surrogate pair'],
    ['a cycle', cycle, 'spec.self can not be an object that contains itself'],
    ['a symbol for a name', { [Symbol('x')]: 1 }, 'spec can not be a field named by Symbol(x)'],
    ['what is too deep', { hosts: deep }, 'nested deeper than 64 levels'],
    ['what is too much', { hosts: wide }, 'more than 200000 values'],
  ])('refuse %s with the way to it', (_, spec, message) => {
    const error = thrown(() => virtualService('a', spec as object));
    expect(error.message).toContain(message);
    expect(error.message).toContain('(VirtualService a)');
    expect(thrown(() => defineMesh({ documents: [untyped({ ...routes, spec })] })).message).toContain(
      message,
    );
  });

  test('may have one object in two places', () => {
    const labels = { version: 'v1' };
    expect(destinationRule('a', { subsets: { a: { labels }, b: { labels } } }).spec.subsets).toEqual([
      { name: 'a', labels },
      { name: 'b', labels },
    ]);
  });

  test('need a name', () => {
    expect(() => virtualService('', {})).toThrow('a VirtualService needs a name');
    expect(() => virtualService(undefined as unknown as string, {})).toThrow('a VirtualService needs a name');
  });
});

describe('short ways', () => {
  test('shares have to add to 100', () => {
    expect(() => split(rule, { v1: 90, v2: 5 })).toThrow(
      'INMESH_CONFIG_INVALID: the shares { v1: 90, v2: 5 } are not percentages that add to 100 (reviews)',
    );
    expect(() => split(rule, { v1: 99.5, v2: 0.5 })).toThrow('add to 100');
    expect(() => split(rule, { v1: 150, v2: -50 })).toThrow('add to 100');
    expect(() => split(rule, {})).toThrow('add to 100');
    expect(split(rule, { v2: 100 })).toEqual([
      { destination: { host: 'reviews', subset: 'v2' }, weight: 100 },
    ]);
  });

  test('a canary is a split in two', () => {
    expect(canary(rule, { stable: 'v1', canary: 'v2', percent: 10 })).toEqual(
      split(rule, { v1: 90, v2: 10 }),
    );
    expect(() => canary(rule, { stable: 'v1', canary: 'v2', percent: 101 })).toThrow('add to 100');
    expect(() => canary(rule, { stable: 'v1', canary: 'v1', percent: 10 })).toThrow(
      'can not be its own canary',
    );
  });

  test('retries, faults, matches and mTLS', () => {
    expect(retry(2, { perTryTimeout: '1s', on: ['5xx', 'reset', 429] })).toEqual({
      attempts: 2,
      perTryTimeout: '1s',
      retryOn: '5xx,reset,429',
    });
    expect({ ...delay(10, '2s'), ...abort(0.5, 503) }).toEqual({
      delay: { percentage: { value: 10 }, fixedDelay: '2s' },
      abort: { percentage: { value: 0.5 }, httpStatus: 503 },
    });
    expect(regex(/^\/api\/v\d+$/i)).toEqual({ regex: '(?i)^/api/v\\d+$' });
    expect(() => regex(/a/g)).toThrow('a regular expression with the flags "g" has no equal');
    expect(mtls('STRICT', { namespace: 'shop', labels: { app: 'web' } })).toEqual({
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: { name: 'default', namespace: 'shop' },
      spec: { selector: { matchLabels: { app: 'web' } }, mtls: { mode: 'STRICT' } },
    });
  });
});

describe('a mesh', () => {
  test('puts documents into its namespace that name none, but those that are in none', () => {
    const other = service({ name: 'b', namespace: 'own' }, {});
    const mesh = defineMesh({ namespace: 'shop', documents: [namespace('shop'), rule, other] });
    expect(mesh.documents.map(({ metadata }) => metadata.namespace)).toEqual([undefined, 'shop', 'own']);
    expect(Object.isFrozen(mesh) && Object.isFrozen(mesh.documents)).toBe(true);
  });

  test('takes lists and other meshes', () => {
    const inner = defineMesh({ namespace: 'a', documents: [rule] });
    const mesh = defineMesh({ namespace: 'b', documents: [[rule, [routes]], inner] });
    expect(mesh.documents.map(({ kind, metadata }) => `${kind} ${metadata.namespace}`)).toEqual([
      'DestinationRule b',
      'VirtualService b',
      'DestinationRule a',
    ]);
  });

  test('has no two documents of one name; Gateways of two kinds are two', () => {
    expect(() => defineMesh({ documents: [rule, routes, rule] })).toThrow(
      'INMESH_CONFIG_DUPLICATE: there are two of DestinationRule default/reviews',
    );
    expect(() =>
      defineMesh({
        documents: [
          document('Gateway', 'edge', {}),
          document('Gateway.gateway.networking.k8s.io', 'edge', {
            gatewayClassName: 'inmesh',
            listeners: [],
          }),
        ],
      }),
    ).not.toThrow();
  });

  test('says what is no document', () => {
    expect(() => defineMesh({ documents: [untyped(7)] })).toThrow('the document at 0 of the mesh is none');
    expect(() => defineMesh({ documents: untyped('a') as never })).toThrow('must be a list');
  });

  test('is written in one order of fields, whatever the order they came in', () => {
    const { spec, metadata, kind, apiVersion } = rule;
    const shuffled = untyped({ spec, metadata: { labels: { a: 'b' }, ...metadata }, kind, apiVersion });
    expect(toYaml([shuffled])).toBe(
      [
        'apiVersion: networking.istio.io/v1',
        'kind: DestinationRule',
        'metadata:',
        '  name: reviews',
        '  labels:',
        '    a: b',
        'spec:',
        '  host: reviews',
        '  subsets:',
        '    - name: v1',
        '      labels:',
        '        version: v1',
        '    - name: v2',
        '      labels:',
        '        version: v2',
        '',
      ].join('\n'),
    );
  });

  test('shows texts of several lines as they are, and quotes what YAML would take for something else', () => {
    const yaml = toYaml([
      configMap('a', { data: { pem: '--A--\nB\n', code: 'if a:\n  b', on: 'yes', odd: ' a\n' } }),
    ]);
    expect(yaml.slice(yaml.indexOf('\ndata:') + 1)).toBe(
      'data:\n  pem: |\n    --A--\n    B\n  code: |-\n    if a:\n      b\n  "on": "yes"\n  odd: " a\\n"\n',
    );
  });

  test('that is right is validated in silence, and in its file the same', async () => {
    const mesh = defineMesh({
      documents: [rule, routes, service('reviews', { ports: [{ name: 'http', port: 80 }] })],
    });
    expect(await mesh.validate({ strict: true })).toEqual([]);
    expect(await (await fromYaml(mesh.toYaml())).validate({ strict: true })).toEqual([]);
  });

  test('that is wrong is refused with everything that is wrong, by document and field', async () => {
    const mesh = defineMesh({
      documents: [
        virtualService('a', {
          hosts: ['a'],
          http: [{ timeout: '0.1ms', route: [rule.subset('v1')].map(to) }],
        }),
        untyped({ ...routes, metadata: { name: 'b' }, spec: { hosts: ['b'], htp: [] } }),
      ],
    });
    const found = await mesh.check({ name: 'mesh.config.ts' });
    expect(found.map(({ code, origin, path }) => [code, origin, path.join('.')])).toEqual([
      ['INMESH_CONFIG_INVALID', { file: 'mesh.config.ts', line: 0, column: 0 }, 'spec.http.0.timeout'],
      ['INMESH_CONFIG_UNKNOWN_FIELD', { file: 'mesh.config.ts', line: 0, column: 0 }, 'spec.htp'],
    ]);
    await expect(mesh.validate({ name: 'mesh.config.ts' })).rejects.toThrow(
      /^INMESH_CONFIG_INVALID: there are 2 errors in the configuration:\nmesh\.config\.ts VirtualService default\/a spec\.http\[0\]\.timeout error .*\nmesh\.config\.ts VirtualService default\/b spec\.htp error INMESH_CONFIG_UNKNOWN_FIELD unknown field "htp" \(did you mean "http"\?\)$/,
    );
  });

  test('may be long', async () => {
    const many = Array.from({ length: 5_000 }, (_, i) =>
      destinationRule(`host-${i}`, { host: i === 4_000 ? '' : `host-${i}`, subsets: { v1: {} } }),
    );
    const found = await defineMesh({ documents: many }).check();
    expect(found.map(({ resource }) => resource)).toEqual(['DestinationRule default/host-4000']);
  });

  test('of YAML that is broken is an error with its place', async () => {
    await expect(fromYaml('a: [', 'broken.yaml')).rejects.toThrow(
      'broken.yaml:1:5 error INMESH_CONFIG_SYNTAX',
    );
  });
});

const to = (destination: ReturnType<typeof rule.subset>) => ({ destination });

// A mesh is a mesh by what it has.
const foreign: ConfiguredMesh = { ...defineMesh({ documents: [rule] }) };
test('made by another copy of the package is a mesh, too', () => {
  expect(defineMesh({ documents: [foreign] }).documents).toEqual([rule]);
});

// The type check of the repository compiles these files.
test('what docs/authoring.md shows is code that compiles', () => {
  const folder = new URL('./authoring-page/', import.meta.url);
  const page = readFileSync(new URL('../../../docs/authoring.md', import.meta.url), 'utf8');
  const shown = [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code);
  const compiled = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), 'utf8'));
  expect(shown.toSorted()).toEqual(compiled.toSorted());
});
