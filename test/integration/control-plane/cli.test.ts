import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { main } from '../../../src/cli/main.js';
import { type ControlPlane, createControlPlane, createMemorySource } from '../../../src/control-plane.js';
import { createMesh, type Mesh } from '../../../src/index.js';
import { nodeOf, service } from '../../unit/control-plane/compile/mesh.js';
import { AdsClient } from './ads-client.js';

// The command line against a control plane with a member, and against files: what every command owes in every format.

const folder = mkdtempSync(join(tmpdir(), 'inmesh-cli-'));
const at = (name: string) => join(folder, name);
const KEY = 'MHcCAQEEIHiddenHiddenHidden';
const SECRETS = {
  pem: `-----BEGIN EC PRIVATE KEY-----\n${KEY}\n-----END EC PRIVATE KEY-----\n`,
  password: 'correct-horse-battery',
  token: 'inmesh-join-0123456789abcdef',
  bearer: 'opensesame-opensesame',
};
const MESH = `${service('reviews')}
---
apiVersion: v1
kind: Secret
metadata: {name: edge, namespace: default}
stringData:
  note: ${SECRETS.password}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: api}
spec:
  parentRefs: [{group: '', kind: Service, name: reviews}]
  rules: [{backendRefs: [{name: nowhere, port: 80}]}]
`;
const VS = (timeout: string, extra = '') => `# by hand
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings${extra}}
spec:
  hosts: [ratings]
  http:
    - timeout: ${timeout} # enough
      route: [{destination: {host: ratings}}]
`;

let plane: ControlPlane;
let mesh: Mesh;
beforeAll(async () => {
  plane = await createControlPlane({
    ports: { xds: 0, secureXds: 0, http: 0 },
    sources: [createMemorySource(MESH, 'mesh.yaml')],
    debounceMs: { quietMs: 5, maxMs: 50 },
  });
  mesh = await createMesh({
    service: 'ratings',
    version: 'v1',
    controlPlane: plane.addresses.xds,
    cacheDir: false,
  });
  await mesh.listen(createServer((_, response) => response.end('5')));
  writeFileSync(at('mesh.yaml'), MESH);
  writeFileSync(at('good.yaml'), VS('1s'));
  writeFileSync(at('bad.yaml'), `${VS('1s')}---\n${VS('soon', '-2')}`);
  for (const args of [
    ['apply', '-f', at('good.yaml')],
    ['wait', '--applied'],
  ]) {
    const { code, err } = await inmesh(args);
    if (code !== 0) throw new Error(`inmesh ${args.join(' ')}: ${err}`);
  }
});
afterAll(async () => {
  await mesh.close();
  await plane.close();
  rmSync(folder, { recursive: true });
});

async function inmesh(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const [out, err]: [string[], string[]] = [[], []];
  const usesPlane = !args.includes('-f') || ['apply', 'diff'].includes(args[0] ?? '');
  const own = usesPlane && !OFFLINE.has(args[0] ?? '') ? ['--control-plane', plane.addresses.http] : [];
  const before = { ...process.env };
  Object.assign(process.env, env);
  try {
    const code = await main([...args, ...own], {
      out: (text) => void out.push(text),
      err: (text) => void err.push(text),
      color: false,
    });
    return { code, out: out.join(''), err: err.join('') };
  } finally {
    for (const name of Object.keys(env)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

/** What another process does takes as long as it takes. */
const PATIENT = { timeout: 30_000 };

/** They ask nobody. */
const OFFLINE = new Set(['validate', 'compile', 'convert', 'schema', 'migrate']);
const READ = ['table', 'json', 'yaml', 'name'];
const WIDE = ['wide', ...READ];

/** Commands, their formats, and how they end whatever the format. */
const CONTRACT: readonly (readonly [string, readonly string[], number])[] = [
  ['get', WIDE, 0],
  ['get all', WIDE, 0],
  ['get svc', WIDE, 0],
  ['get svc/ratings', WIDE, 0],
  ['get vs,dr', WIDE, 0],
  ['get vs nothing', WIDE, 1],
  ['get vs -f GOOD', WIDE, 0],
  ['get vs -f NOWHERE', WIDE, 2],
  ['describe svc ratings', ['table', 'json', 'yaml'], 0],
  ['describe svc nothing', ['table', 'json', 'yaml'], 1],
  ['describe vs/ratings -f GOOD', ['table', 'json', 'yaml'], 0],
  ['export', ['json'], 0],
  ['export -f GOOD', ['yaml', 'json'], 0],
  ['apply -f GOOD', READ, 0],
  ['apply -f GOOD --dry-run', READ, 0],
  ['apply -f GOOD --dry-run=client', READ, 0],
  ['apply -f BAD', READ, 1],
  ['apply -f BAD --dry-run=client', READ, 1],
  ['apply -f NOWHERE', READ, 2],
  ['delete vs nothing', READ, 1],
  ['delete vs nothing --ignore-not-found', READ, 0],
  ['delete vs ratings --dry-run', READ, 0],
  ['diff -f GOOD', READ, 0],
  ['diff -f MESH', READ, 0],
  ['diff --from 0 --to 1', READ, 1],
  ['history', WIDE, 0],
  ['rollback 99', READ, 1],
  ['confirm', READ, 1],
  ['status', WIDE, 0],
  ['status ratings-v1', WIDE, 0],
  ['status nobody', WIDE, 2],
  ['check', ['table', 'json', 'yaml'], 0],
  ['wait --applied', ['table', 'json', 'yaml'], 0],
  ...['clusters', 'listeners', 'routes', 'endpoints', 'secrets', 'all', 'bootstrap', 'cluster'].map(
    (type) => [`proxy-config ${type} ratings-v1`, WIDE, 0] as const,
  ),
  ['explain GET http://ratings/', ['table', 'wide', 'json', 'yaml'], 0],
  ['explain GET http://nowhere.test/ -f GOOD', ['table', 'wide', 'json', 'yaml'], 0],
  ['explain GET http://ratings/ -f BAD', ['table', 'wide', 'json', 'yaml'], 1],
  ['validate -f GOOD', READ, 0],
  ['validate -f BAD', READ, 1],
  ['validate -f NOWHERE', READ, 2],
  ['analyze -f BAD', WIDE, 1],
  ['analyze -f NOWHERE', WIDE, 2],
  ['analyze --suppress IST0101 --failure-threshold Error', WIDE, 0],
  ['authz check', ['table', 'json', 'yaml'], 0],
  ['authz check -l app=ratings GET http://ratings/x', ['table', 'json', 'yaml'], 0],
  ['compile -f GOOD', ['json'], 0],
  ['compile -f BAD', ['json'], 1],
  ['compile rbac -f GOOD', ['json'], 0],
  ['authz check -f GOOD', ['table', 'json', 'yaml'], 0],
  ['authz check -f BAD', ['table', 'json', 'yaml'], 1],
  ['convert -f BAD --to gateway-api', ['yaml', 'json'], 1],
  ['shift ratings v1=100 --dry-run=client', ['yaml', 'json'], 0],
  ['timeout ratings 1s', ['yaml', 'json'], 0],
  ['retry ratings 2 --dry-run', ['yaml', 'json'], 0],
  ['fault ratings --abort 503 --dry-run', ['yaml', 'json'], 0],
  ['mtls set PERMISSIVE --dry-run', ['yaml', 'json'], 0],
  ['workload entry db --address 10.0.0.5', ['yaml', 'json'], 0],
  ['version', ['table', 'json', 'yaml'], 0],
  ['bug-report', ['json', 'yaml'], 0],
];

/** Streams of documents, as they are applied. */
const STREAMS = /^(?:export|shift|convert|timeout|retry|fault|mtls|workload)/;

describe.each(CONTRACT)('inmesh %s', (line, formats, expected) => {
  test.each([...formats])('-o %s', async (format) => {
    const files: Record<string, string> = {
      GOOD: 'good.yaml',
      BAD: 'bad.yaml',
      MESH: 'mesh.yaml',
      NOWHERE: 'none.yaml',
    };
    const words = line.split(' ').map((word) => (word in files ? at(files[word] ?? '') : word));
    const { code, out, err } = await inmesh([...words, '-o', format]);
    expect(code, err).toBe(expected);
    if (code === 2) expect(out).toBe('');
    else if (format === 'json') expect(JSON.parse(out)).toBeTypeOf('object');
    else if (format === 'yaml') {
      const documents = parseAllDocuments(out);
      expect([...documents].flatMap(({ errors }) => errors)).toEqual([]);
      if (!STREAMS.test(line)) expect(documents).toHaveLength(1);
    }
    // Talk is no data.
    if (code !== 0 && format === 'name') expect(`${err}${out}`).not.toBe('');
  });
});

test('a service that no document tells of is there with its endpoints', async () => {
  expect((await inmesh(['get', 'svc', '-o', 'name'])).out).toBe('service/reviews\nservice/ratings\n');
  const { out } = await inmesh(['describe', 'svc', 'ratings']);
  expect(out).toMatch(/from +registered by its workloads/);
  expect(out).toMatch(/endpoint +127\.0\.0\.1:\d+ v1 +mTLS PERMISSIVE, speaks it, subsets -/);
  expect(out).toMatch(/routed by +VirtualService default\/ratings/);
  expect((await inmesh(['get', 'svc', 'ratings'])).out).toMatch(
    /^NAMESPACE +NAME +PORTS +ENDPOINTS +VERSIONS +SUBSETS +MTLS\ndefault +ratings +80\/http +1 +v1 +PERMISSIVE\n$/,
  );
  expect((await inmesh(['export'])).out).not.toContain('registered');
});

test('the Gateway API has its status, and what is exported has none', async () => {
  for (const from of [[], ['-f', at('mesh.yaml')]]) {
    const wide = (await inmesh(['get', 'httproute', '-o', 'wide', ...from])).out;
    expect(wide).toContain('!ResolvedRefs(BackendNotFound)');
    expect((await inmesh(['describe', 'httproute/api', ...from])).out).toMatch(
      /condition +Service reviews ResolvedRefs False \(BackendNotFound\)/,
    );
    const { status } = JSON.parse((await inmesh(['get', 'httproute/api', '-o', 'json', ...from])).out);
    expect(status.parents[0].conditions).toContainEqual(
      expect.objectContaining({ type: 'Accepted', status: 'True' }),
    );
    expect((await inmesh(['export', ...from])).out).not.toContain('status:');
  }
});

test('what is wrong is told where it stands in the file, in lists and other namespaces, too', async () => {
  const list = {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'networking.istio.io/v1',
        kind: 'VirtualService',
        metadata: { name: 'x', labels: { 'a.b/c': 'd' } },
        spec: { hosts: ['ratings'], http: [{ timeot: '1s' }] },
      },
    ],
  };
  writeFileSync(at('list.json'), JSON.stringify(list, undefined, 2));
  for (const further of [[], ['-n', 'shop'], ['--dry-run'], ['--dry-run=client']]) {
    const { code, err } = await inmesh(['apply', '-f', at('list.json'), ...further]);
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/list\.json:\d+:\d+ error INMESH_CONFIG_UNKNOWN_FIELD .*did you mean "timeout"/),
    ]);
    expect(err).toMatch(/"timeot": "1s"\n +\| +\^{8}/);
  }
  const body = JSON.parse((await inmesh(['apply', '-f', at('bad.yaml'), '-o', 'json'])).out);
  expect(body.violations[0]).toMatchObject({ file: at('bad.yaml'), line: 18, path: 'spec.http[0].timeout' });
  writeFileSync(
    at('kind.yaml'),
    'apiVersion: networking.istio.io/v1\nkind: VirtualServis\nmetadata: {name: x}\n',
  );
  expect((await inmesh(['apply', '-f', at('kind.yaml')])).err).toMatch(
    /kind\.yaml:2:7 error .*did you mean "VirtualService"/,
  );
});

test('an edit that changes nothing is none', async () => {
  const revision = async () => JSON.parse((await inmesh(['status', '-o', 'json'])).out).revision;
  const shift = ['shift', 'ratings', 'v1=100'];
  const first = await inmesh(shift);
  const after = await revision();
  const again = await inmesh(shift);
  expect(again.err).toContain('virtualservice/ratings unchanged');
  expect(again.out).toContain('weight: 100');
  expect(await revision()).toBe(after);
  expect(first.out).toMatch(/^apiVersion: .*\nkind: DestinationRule\nmetadata:\n {2}name: ratings\n/);
});

test('a version that gets requests and has no endpoint is told of', async () => {
  const { code, err } = await inmesh(['shift', 'ratings', 'v1=50', 'v9=50']);
  expect(code).toBe(0);
  expect(err).toContain('warning: ratings has no endpoint of version v9: 50 % of its requests');
  expect(err).not.toContain('version v1:');
  expect((await inmesh(['shift', 'ratings', 'v1=100', 'v9=0'])).err).not.toContain('no endpoint');
  expect((await inmesh(['shift', 'ratings', 'v1=100'])).code).toBe(0);
});

test('proxy-config is narrowed by istioctl’s flags', async () => {
  const pc = async (...args: string[]) =>
    (await inmesh(['pc', ...args, '-o', 'name'])).out.trim().split('\n');
  const host = 'ratings.default.svc.cluster.local';
  // The client asks for the cluster when it has the route.
  await expect
    .poll(() => pc('clusters', 'ratings-v1', '--fqdn', host, '--subset', 'v1'), PATIENT)
    .toEqual([`outbound|80|v1|${host}`]);
  expect(await pc('clusters', 'ratings-v1', '--port', '80')).toContain(`outbound|80|v1|${host}`);
  expect(await pc('clusters', 'ratings-v1', '--port', '9080')).toEqual(['']);
  expect(await pc('listeners', 'ratings-v1', '--direction', 'sideways')).toEqual(['']);
  expect((await inmesh(['pc', 'endpoints', 'ratings-v1', '--fqdn', host])).out).toMatch(
    /^ENDPOINT .*\n127\.0\.0\.1:\d+ +HEALTHY/,
  );
  expect((await inmesh(['pc', 'routes', 'ratings-v1', '--fqdn', host])).out).toMatch(
    /ratings\.default.* \/\* +outbound\|80\|v1\|/,
  );
  expect(JSON.parse((await inmesh(['pc', 'bootstrap', 'ratings-v1', '-o', 'json'])).out)).toMatchObject({
    xds_servers: [{ server_uri: plane.addresses.xds }],
    node: { id: expect.stringContaining('ratings') },
  });
});

test('status tells, resource by resource, what a client lacks', async () => {
  const client = new AdsClient(plane.addresses.xds);
  try {
    const id = 'sidecar~10.0.0.9~slow.default~default.svc.cluster.local';
    client.send({ type: 'CDS', node: { ...nodeOf(), id } });
    const first = await client.next();
    client.ack(first);
    expect((await inmesh(['wait', '--applied'])).code).toBe(0);
    expect(await inmesh(['status', id])).toMatchObject({
      code: 0,
      out: '',
      err: expect.stringContaining('has what revision'),
    });
    writeFileSync(
      at('rule.yaml'),
      'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: reviews}\nspec: {host: reviews, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 7s}}}}\n',
    );
    await inmesh(['apply', '-f', at('rule.yaml')]);
    const second = await client.next();
    const waiting = await inmesh(['status', id]);
    expect(waiting.code).toBe(1);
    expect(waiting.out).toMatch(
      /CDS +outbound\|9080\|\|reviews\.default\.svc\.cluster\.local +changed +unanswered/,
    );
    expect(waiting.out).toMatch(/\n\+ +connect_timeout: 7s\n/);
    client.send({
      type: 'CDS',
      version: first.version,
      nonce: second.nonce,
      error: 'outbound|9080||reviews.default.svc.cluster.local: too slow',
    });
    await expect.poll(async () => (await inmesh(['status', id])).out, PATIENT).toContain('too slow');
    const refused = JSON.parse((await inmesh(['status', id, '-o', 'json'])).out);
    expect(refused).toMatchObject({
      isSynced: false,
      differences: [
        {
          change: 'changed',
          reason: 'refused',
          held: { connect_timeout: '10s' },
          wanted: { connect_timeout: '7s' },
        },
      ],
    });
    const all = await inmesh(['status']);
    expect([all.code, all.out]).toEqual([1, expect.stringMatching(/slow\.default.*NACKED/)]);
    expect(all.err).toContain('too slow');
    await inmesh(['delete', 'dr/reviews']);
    client.ack(await client.next());
    await expect.poll(async () => (await inmesh(['status', id])).code, PATIENT).toBe(0);
  } finally {
    client.close();
  }
});

test('a watch tells what changes, and ends when it is told to', async () => {
  const stop = new AbortController();
  let out = '';
  const heard = new Promise<void>((resolve) => {
    const output = {
      out: (text: string) => {
        out += text;
        if (out.includes('watched')) resolve();
      },
      err: () => {},
      color: false,
      stop: stop.signal,
    };
    void main(['get', 'vs', '-w', '--control-plane', plane.addresses.http], output);
  });
  writeFileSync(at('watched.yaml'), VS('1s').replace('name: ratings', 'name: watched'));
  await inmesh(['apply', '-f', at('watched.yaml')]);
  await heard;
  stop.abort();
  expect(out).toMatch(/^NAMESPACE +KIND +NAME/);
  await inmesh(['delete', 'vs/watched']);
});

test('nothing secret is in a bug report', async () => {
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'hidden', annotations: { note: `Bearer ${SECRETS.bearer}` } },
    type: 'Opaque',
    stringData: { 'tls.key': SECRETS.pem, other: SECRETS.password },
  };
  writeFileSync(at('secret.json'), JSON.stringify(secret));
  const applied = await inmesh(['apply', '-f', at('secret.json'), '-m', `with ${SECRETS.token}`]);
  expect(applied).toMatchObject({ code: 0, out: 'secret/hidden created\n' });
  const env = {
    INMESH_JOIN_TOKEN: SECRETS.token,
    INMESH_CA_KEY_PASSPHRASE: SECRETS.password,
    INMESH_CONTROL_PLANE: `https://me:${SECRETS.password}@mesh.example.com:15012`,
  };
  for (const format of ['json', 'yaml']) {
    const { code, out } = await inmesh(['bug-report', '-o', format], env);
    expect(code).toBe(0);
    for (const word of [
      KEY,
      SECRETS.password,
      SECRETS.token,
      SECRETS.bearer,
      Buffer.from(SECRETS.password).toString('base64'),
    ])
      expect(out).not.toContain(word);
    expect(out).toContain('hidden');
    expect(out).toContain('ratings');
  }
  const shown = (await inmesh(['get', 'secret/hidden', '-o', 'json'])).out;
  expect(shown).not.toContain(KEY);
});
