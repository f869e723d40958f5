// How long the control plane compiles: everything, after one route changed, after one endpoint changed; and how that grows.
// Times are CPU of this process.
// With --kinds also after a document of other kinds came and went, and the longest step between two pauses (which is how
// long a control plane that compiles keeps its event loop from anything else).
//   node bench/compile.mjs [--kinds] [--generator inmesh|grpc|envoy] [--services 100,1000,10000] [--per 10] [--routes 2000] [--rounds 20]
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { build } from 'esbuild';
import { median } from './lib/table.mjs';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc');
const root = fileURLToPath(new URL('..', import.meta.url));
const option = (name, or) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? or : process.argv[at + 1];
};
const PER = Number(option('per', '10'));
const ROUTES = Number(option('routes', '2000'));
const ROUNDS = Number(option('rounds', '20'));
const inner = await load();
const NODE = {
  id: 'sidecar~127.0.0.1~client.default~default.svc.cluster.local',
  cluster: 'client.default',
  locality: { region: '', zone: '', subZone: '' },
  metadata: {
    NAMESPACE: 'default',
    SERVICE_ACCOUNT: 'default',
    LABELS: {},
    INSTANCE_IPS: '127.0.0.1',
    GENERATOR: option('generator', 'inmesh'),
  },
};

console.log(`Node ${process.version}, ${PER} endpoints per service, ${ROUTES} routes; ms of CPU\n`);
console.log(
  '| services | documents read and checked | full compile | one route changed: read | compiled | compiled the first time | one endpoint changed | heap, MB | output, MB |',
);
console.log('|---|---|---|---|---|---|---|---|---|');

const HCM = 'envoy.filters.network.http_connection_manager';
const OTHERS = {
  PeerAuthentication: [
    'security.istio.io/v1',
    '{ selector: { matchLabels: { app: s1 } }, mtls: { mode: DISABLE } }',
  ],
  AuthorizationPolicy: ['security.istio.io/v1', '{ rules: [{}] }'],
  Sidecar: ['networking.istio.io/v1', '{ egress: [{ hosts: ["./*"] }] }', 'other'],
  ServiceEntry: [
    'networking.istio.io/v1',
    '{ hosts: [x.test], location: MESH_EXTERNAL, resolution: DNS, ports: [{ number: 80, name: http, protocol: HTTP }] }',
  ],
  DestinationRule: [
    'networking.istio.io/v1',
    '{ host: s1, trafficPolicy: { loadBalancer: { simple: RANDOM } } }',
  ],
  Gateway: [
    'networking.istio.io/v1',
    '{ selector: { istio: x }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["*"] }] }',
  ],
  HTTPRoute: [
    'gateway.networking.k8s.io/v1',
    '{ parentRefs: [{ group: "", kind: Service, name: s1, port: 80 }], rules: [{ backendRefs: [{ name: s2, port: 80 }] }] }',
  ],
  EnvoyFilter: [
    'networking.istio.io/v1alpha3',
    '{ configPatches: [{ applyTo: CLUSTER, match: { cluster: { service: s1.default.svc.cluster.local } }, patch: { operation: MERGE, value: { connect_timeout: 3s } } }] }',
  ],
  'EnvoyFilter of HTTP filters': [
    'networking.istio.io/v1alpha3',
    `{ configPatches: [{ applyTo: HTTP_FILTER, match: { context: SIDECAR_OUTBOUND, listener: { filterChain: { filter: { name: ${HCM}, subFilter: { name: envoy.filters.http.router } } } } }, patch: { operation: INSERT_BEFORE, value: { name: envoy.filters.http.fault, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault } } } }] }`,
  ],
  RateLimitPolicy: ['inmesh.dev/v1', '{ host: s1, rules: [{ limit: { requests: 5, per: 1s } }] }'],
  MeshConfig: ['inmesh.dev/v1', '{ connectTimeout: 4s }'],
  'PeerAuthentication for all': ['security.istio.io/v1', '{ mtls: { mode: STRICT } }', 'istio-system'],
  Telemetry: ['telemetry.istio.io/v1', '{ accessLogging: [{ providers: [{ name: envoy }] }] }'],
};

for (const services of option('services', '100,1000,10000').split(',').map(Number)) measure(services);

function measure(services) {
  gc();
  const heapBefore = process.memoryUsage().heapUsed;
  const clock = inner.systemClock;
  const store = inner.createConfigStore({ clock, logger: inner.silentLogger });
  const registry = inner.createRegistry({ graceMs: 1000 }, clock);
  for (let at = 0; at < services; at++) registry.lease(`n${at}`).update(workloadsOf(at, 8080));
  const [read] = timed(() => propose(store, services, 0));
  const compiler = inner.createCompiler(inner.DEFAULT_MESH_CONFIG);
  let longest = 0;
  const compile = () => {
    const steps = compiler.steps(store.current.value, registry.current.value, NODE);
    longest = 0;
    for (;;) {
      const [ms, { done, value }] = timed(() => steps.next());
      longest = Math.max(longest, ms);
      if (done) return value;
    }
  };
  const [full, set] = timed(compile);
  const longestOfAll = longest;
  const rounds = Array.from({ length: ROUNDS }, (_, round) => round + 1);
  const routes = rounds.map((round) => {
    const [reading] = timed(() => propose(store, services, round));
    return [reading, timed(compile)[0]];
  });
  const endpoints = rounds.map((round) => {
    const [change] = timed(() => registry.lease('n0').update(workloadsOf(0, 9000 + round)));
    return change + timed(compile)[0];
  });
  const others = process.argv.includes('--kinds') ? measureKinds(store, compile, () => longest) : [];
  gc();
  const heap = (process.memoryUsage().heapUsed - heapBefore) / 1e6;
  const cells = [
    services,
    read.toFixed(0),
    full.toFixed(0),
    median(routes.map(([one]) => one)).toFixed(0),
    median(routes.map(([, one]) => one)).toFixed(0),
    routes[0][1].toFixed(0),
    median(endpoints).toFixed(2),
    heap.toFixed(0),
    (sizeOf(set) / 1e6).toFixed(1),
  ];
  console.log(`| ${cells.join(' | ')} |`);
  if (others.length > 0)
    console.log(
      `\n| ms after a document of a kind | came | longest step | went | longest step |\n|---|---|---|---|---|\n| (full compile) | ${full.toFixed(0)} | ${longestOfAll.toFixed(0)} | | |`,
    );
  for (const [kind, ...cells] of others)
    console.log(`| ${kind} | ${cells.map((cell) => cell.toFixed(0)).join(' | ')} |`);
  registry.close();
}

/** How long compiling takes after a document came, and after it went. */
function measureKinds(store, compile, longest) {
  const timeOf = (content) => {
    const result = store.propose('others', { files: [{ file: 'other.yaml', content }] });
    if (!result.accepted) throw new Error(JSON.stringify(result.violations[0]));
    return [timed(compile)[0], longest()];
  };
  timeOf('');
  return Object.entries(OTHERS).map(([title, [apiVersion, spec, namespace = 'default']]) => {
    const [kind] = title.split(' ');
    const text = `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: x, namespace: ${namespace} }\nspec: ${spec}\n`;
    return [title, ...timeOf(text), ...timeOf('')];
  });
}

function timed(act) {
  const before = process.cpuUsage();
  const result = act();
  const { user, system } = process.cpuUsage(before);
  return [(user + system) / 1000, result];
}

function workloadsOf(service, port) {
  return Array.from({ length: PER }, (_, at) =>
    inner.createWorkload(`n${service}`, {
      service: `s${service}`,
      address: `10.${service >> 8}.${service & 255}.${at + 1}`,
      port: at === 0 ? port : 8080,
      tlsMode: 'istio',
    }),
  );
}

/** A Service each, and as many routes as wanted spread over the VirtualServices of at most 200 hosts. */
function propose(store, services, round) {
  const hosts = Math.min(services, 200);
  const perHost = Math.ceil(ROUTES / hosts);
  const files = [];
  for (let first = 0; first < services; first += 100) {
    const texts = [];
    for (let at = first; at < Math.min(first + 100, services); at++) texts.push(serviceText(at));
    files.push({ file: `services-${first}.yaml`, content: texts.join('---\n') });
  }
  for (let host = 0; host < hosts; host++)
    files.push({ file: `routes-${host}.yaml`, content: routesText(host, perHost, host === 0 ? round : 0) });
  const result = store.propose('bench', { files });
  if (!result.accepted) throw new Error(JSON.stringify(result.violations[0]));
}

function serviceText(at) {
  return `apiVersion: v1
kind: Service
metadata: { name: s${at}, namespace: default }
spec: { selector: { app: s${at} }, ports: [{ name: http, port: 80 }] }
`;
}

function routesText(host, count, round) {
  const routes = Array.from(
    { length: count },
    (_, at) => `    - match: [{ uri: { prefix: /r${at} } }]
      timeout: ${at === 0 ? 10 + round : 10}s
      route: [{ destination: { host: s${host} } }]
`,
  );
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: s${host}, namespace: default }
spec:
  hosts: [s${host}]
  http:
${routes.join('')}`;
}

function sizeOf({ listeners, routes, clusters, endpoints, encoders }) {
  const size = (resources, encode) =>
    [...resources.values()].reduce((sum, one) => sum + encode(one).length, 0);
  return (
    size(listeners, encoders.listener) +
    size(routes, encoders.route) +
    size(clusters, encoders.cluster) +
    size(endpoints, encoders.endpoints)
  );
}

async function load() {
  const folder = `${root}node_modules/.cache/inmesh-bench`;
  mkdirSync(folder, { recursive: true });
  const outfile = `${folder}/compile.mjs`;
  const contents = `
    export { createCompiler } from './src/control-plane/compile/compile.js';
    export { DEFAULT_MESH_CONFIG } from './src/control-plane/mesh/mesh-config.js';
    export { createRegistry } from './src/control-plane/registry/registry.js';
    export { createWorkload } from './src/control-plane/registry/workload.js';
    export { createConfigStore } from './src/control-plane/store/config-store.js';
    export { systemClock } from './src/runtime/clock.js';
    export { silentLogger } from './src/runtime/log.js';
  `;
  await build({
    stdin: { contents, resolveDir: root, loader: 'ts' },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'error',
  });
  return import(outfile);
}
