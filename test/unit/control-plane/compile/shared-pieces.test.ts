import { describe, expect, test } from 'vitest';
import { ROUTE_CONFIGURATION } from '../../../../src/codec/resource-types.js';
import { createCompiler } from '../../../../src/control-plane/compile/compile.js';
import { DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import { runSteps } from '../../../../src/runtime/steps.js';
import { networking, nodeOf, registryOf, service, viewOf } from './mesh.js';

const PATCHED = nodeOf({ LABELS: { app: 'patched' } });
const LOGGED = nodeOf({ LABELS: { app: 'logged' } });
const PLAIN = nodeOf();

const filter = (applyTo: string, match: string, value: string) =>
  `---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: { name: own, namespace: default }\nspec: { workloadSelector: { labels: { app: patched } }, configPatches: [{ applyTo: ${applyTo}, match: ${match}, patch: { operation: MERGE, value: ${value} } }] }\n`;
const TELEMETRY = `---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: { name: own, namespace: default }\nspec: { selector: { matchLabels: { app: logged } }, accessLogging: [{ providers: [{ name: envoy }] }] }\n`;
const ONE_CLUSTER = filter(
  'CLUSTER',
  '{ cluster: { service: reviews.default.svc.cluster.local } }',
  '{ connect_timeout: 3s }',
);

describe('clients whose profiles differ', () => {
  const view = viewOf(`${service('reviews')}${service('ratings')}${ONE_CLUSTER}${TELEMETRY}`);
  const compiler = createCompiler(DEFAULT_MESH_CONFIG);
  const at = (node: typeof PLAIN) => compiler.compile(view, registryOf([]), node);

  test('by an EnvoyFilter share what no patch is about', () => {
    const [plain, patched] = [at(PLAIN), at(PATCHED)];
    expect(patched.routes).toBe(plain.routes);
    expect(patched.listeners).toBe(plain.listeners);
    expect(patched.endpoints).toBe(plain.endpoints);
    const other = 'outbound|9080||ratings.default.svc.cluster.local';
    expect(patched.clusters.get(other)).toBe(plain.clusters.get(other));
    const own = 'outbound|9080||reviews.default.svc.cluster.local';
    expect(patched.clusters.get(own)).not.toEqual(plain.clusters.get(own));
  });

  test('by their logs share all but listeners', () => {
    const [plain, logged] = [at(PLAIN), at(LOGGED)];
    expect(logged.routes).toBe(plain.routes);
    expect(logged.clusters).toBe(plain.clusters);
    expect(logged.endpoints).toBe(plain.endpoints);
    const log = [expect.objectContaining({ sink: { kind: 'stdout' } })];
    expect(logged.listeners.get('reviews.default.svc.cluster.local:9080')).toMatchObject({
      http: { accessLogs: log },
    });
    expect(plain.listeners.get('reviews.default.svc.cluster.local:9080')).not.toHaveProperty(
      'http.accessLogs',
    );
  });
});

describe('the table of an Envoy', () => {
  const envoy = nodeOf({ GENERATOR: 'envoy' });
  const rule = (timeout: string) =>
    networking(
      'VirtualService',
      'ratings',
      `{ hosts: [ratings], http: [{ timeout: ${timeout}, route: [{ destination: { host: ratings } }] }] }`,
    );
  const documents = (timeout: string) => `${service('reviews')}${service('ratings')}${rule(timeout)}`;

  test('keeps the hosts that a change is not about', () => {
    const compiler = createCompiler(DEFAULT_MESH_CONFIG);
    const [before, after] = ['1s', '2s'].map((timeout) =>
      compiler.compile(viewOf(documents(timeout)), registryOf([]), envoy).routes.get('http_proxy'),
    );
    const changed = before?.virtualHosts.filter((one, at) => one !== after?.virtualHosts[at]);
    expect(changed?.map(({ name }) => name)).toEqual(['ratings.default.svc.cluster.local:9080']);
    expect(after?.virtualHosts.map(({ name }) => name)).toEqual(before?.virtualHosts.map(({ name }) => name));
  });

  test('is encoded host by host as it is at once', () => {
    const { routes, encoders } = createCompiler(DEFAULT_MESH_CONFIG).compile(
      viewOf(documents('1s')),
      registryOf([]),
      envoy,
    );
    for (const table of routes.values()) {
      const bytes = Buffer.from(encoders.route(table));
      expect(ROUTE_CONFIGURATION.decode(bytes).resource).toEqual(
        ROUTE_CONFIGURATION.decode(ROUTE_CONFIGURATION.encode(table)).resource,
      );
    }
    expect(routes.size).toBe(1);
  });
});

describe('compiling with pauses', () => {
  const many = Array.from({ length: 40 }, (_, at) => service(`s${at}`)).join('');
  const before = viewOf(many);
  const after = viewOf(
    `${many}${networking('DestinationRule', 's1', '{ host: s1, trafficPolicy: { loadBalancer: { simple: RANDOM } } }')}`,
  );

  test('comes to the same as at once, and pauses many times', () => {
    const steps = createCompiler(DEFAULT_MESH_CONFIG).steps(before, registryOf([]), PLAIN);
    let pauses = 0;
    let step = steps.next();
    while (step.done !== true) {
      pauses++;
      step = steps.next();
    }
    expect(pauses).toBeGreaterThan(10);
    const atOnce = createCompiler(DEFAULT_MESH_CONFIG).compile(before, registryOf([]), PLAIN);
    expect([...step.value.clusters]).toEqual([...atOnce.clusters]);
    expect([...step.value.listeners]).toEqual([...atOnce.listeners]);
  });

  test('what is there stays there for others until the new is made', () => {
    const compiler = createCompiler(DEFAULT_MESH_CONFIG);
    const then = compiler.compile(before, registryOf([]), PLAIN);
    const steps = compiler.steps(after, registryOf([]), PLAIN);
    for (let at = 0; at < 5; at++) expect(steps.next().done).toBe(false);
    expect(compiler.compile(before, registryOf([]), PLAIN).clusters).toBe(then.clusters);
    const name = 'outbound|9080||s1.default.svc.cluster.local';
    expect(runSteps(steps).clusters.get(name)).not.toEqual(then.clusters.get(name));
  });

  test('who overtakes one that pauses changes nothing of what it comes to', () => {
    const compiler = createCompiler(DEFAULT_MESH_CONFIG);
    const steps = compiler.steps(before, registryOf([]), PLAIN);
    for (let at = 0; at < 5; at++) steps.next();
    compiler.compile(after, registryOf([]), PLAIN);
    const fresh = createCompiler(DEFAULT_MESH_CONFIG).compile(before, registryOf([]), PLAIN);
    expect([...runSteps(steps).clusters]).toEqual([...fresh.clusters]);
  });
});
