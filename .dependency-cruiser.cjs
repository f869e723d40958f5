/**
 * The layer table of docs/architecture.md as rules. A layer is a folder of `src`; the files in `src` itself are the
 * public sub-paths and may import everything.
 */

/** Layer to the layers it may import besides itself. `types` are allowed for `import type` only. */
const layers = {
  runtime: [],
  model: ['runtime'],
  proto: [],
  service: ['runtime'],
  codec: ['runtime', 'model', 'proto', 'service'],
  identity: ['runtime', 'proto'],
  telemetry: ['runtime', 'service', 'proto', 'model', 'routing'],
  routing: ['model', 'service', 'runtime'],
  cluster: ['model', 'service', 'runtime'],
  filters: ['model', 'service', 'runtime', 'proto', 'routing', 'identity'],
  xds: ['runtime', 'model', 'codec', 'proto'],
  mesh: [
    'runtime',
    'model',
    'proto',
    'service',
    'codec',
    'identity',
    'telemetry',
    'routing',
    'cluster',
    'filters',
    'xds',
  ],
  bindings: ['runtime', 'model', 'service', 'identity', 'mesh'],
  'control-plane': ['runtime', 'model', 'codec', 'proto', 'service', 'identity', 'routing', 'telemetry'],
  config: ['runtime'],
  // The public API (the root files), and the layers without a mesh in them.
  cli: ['runtime', 'model'],
  dashboard: ['runtime', 'model'],
};

const types = { bindings: ['cluster'], 'control-plane': ['filters'] };

/** Layers that speak to users through the public API, so the root files are what they import. */
const consumers = ['cli', 'config', 'dashboard'];

/**
 * The folders of the control plane, lowest first, and what each may import besides itself. The files beside them put them
 * together: they may import every folder, and no folder imports them.
 */
const planeFolders = {
  schema: [],
  kinds: ['schema'],
  registry: [],
  resources: [],
  audit: [],
  mesh: ['schema', 'kinds', 'registry'],
  'gateway-api': ['schema', 'kinds', 'registry', 'mesh'],
  compile: ['schema', 'kinds', 'registry', 'resources', 'mesh', 'gateway-api'],
  documents: ['schema', 'kinds', 'gateway-api', 'compile'],
  sources: ['schema', 'documents'],
  store: ['schema', 'kinds', 'documents'],
  analysis: ['schema', 'kinds', 'documents'],
  convert: ['kinds', 'gateway-api'],
  policy: ['schema', 'kinds', 'registry', 'mesh', 'compile'],
  insight: ['kinds', 'registry', 'mesh', 'gateway-api', 'compile', 'policy'],
  explain: ['kinds', 'registry', 'resources', 'mesh', 'gateway-api', 'compile', 'policy'],
  config: ['kinds', 'registry', 'mesh', 'gateway-api', 'compile', 'store', 'insight', 'explain'],
  ca: ['resources', 'audit'],
  access: ['schema', 'audit', 'ca'],
  serve: ['registry', 'resources', 'audit', 'ca'],
  files: [
    'schema',
    'kinds',
    'registry',
    'mesh',
    'gateway-api',
    'compile',
    'documents',
    'sources',
    'store',
    'analysis',
    'convert',
    'policy',
    'insight',
    'explain',
  ],
  admin: [
    'schema',
    'kinds',
    'registry',
    'audit',
    'store',
    'analysis',
    'insight',
    'explain',
    'config',
    'files',
    'ca',
    'access',
    'serve',
  ],
};

/** Libraries at the border of the process, and the only places that know them. */
const libraries = {
  undici: ['^src/[^/]+\\.ts$', '^src/bindings/undici/'],
  opossum: ['^src/filters/failure-rate-breaker\\.ts$'],
  '@grpc/grpc-js': [
    '^src/xds/(stream|grpc-clients|channel-credentials)\\.ts$',
    '^src/runtime/background\\.ts$',
    '^src/identity/(ca-source|grpc-channel)\\.ts$',
    '^src/control-plane/serve/',
    '^src/bindings/grpc(-server)?/',
  ],
};

const folder = (names) => `^src/(${names.join('|')})/`;
const rootFile = '^src/[^/]+\\.ts$';

function layerRule(name, allowed) {
  const typeOnly = types[name] ?? [];
  const open = [folder([name, ...allowed, ...typeOnly])];
  if (consumers.includes(name)) open.push(rootFile);
  return {
    name: `layer-${name}`,
    comment: `${name} may import ${[...allowed, ...typeOnly].join(', ') || 'no other layer'}`,
    severity: 'error',
    from: { path: folder([name]) },
    to: { path: '^src/', pathNot: open },
  };
}

const typesRule = ([name, typeOnly]) => ({
  name: `layer-${name}-types`,
  comment: `${name} may import ${typeOnly.join(', ')} with \`import type\` only`,
  severity: 'error',
  from: { path: folder([name]) },
  to: { path: folder(typeOnly), dependencyTypesNot: ['type-only'] },
});

const planeFolder = (names) => `^src/control-plane/(${names.join('|')})/`;

const planeRule = ([name, allowed]) => ({
  name: `plane-${name}`,
  comment: `control-plane/${name} may import ${allowed.join(', ') || 'no other folder of the control plane'}`,
  severity: 'error',
  from: { path: planeFolder([name]) },
  to: { path: '^src/control-plane/', pathNot: planeFolder([name, ...allowed]) },
});

const libraryRule = ([name, homes]) => ({
  name: `library-${name.replace(/\W/g, '-')}`,
  comment: `${name} is known in its binding and in the client and server shells only`,
  severity: 'error',
  from: { path: '^src/', pathNot: homes },
  to: { path: `node_modules/${name}/` },
});

const general = [
  {
    name: 'no-cycles',
    comment: 'a cycle is one module in two files; also no cycle of types',
    severity: 'error',
    from: { path: '^src/' },
    to: { circular: true },
  },
  {
    name: 'no-unknown-layer',
    comment: 'a new folder of src needs a row in the layer table',
    severity: 'error',
    from: { path: '^src/[^/]+/', pathNot: folder([...Object.keys(layers), 'testing']) },
    to: {},
  },
  {
    name: 'no-unknown-plane-folder',
    comment: 'a new folder of src/control-plane needs a row in the table of its folders',
    severity: 'error',
    from: { path: '^src/control-plane/[^/]+/', pathNot: planeFolder(Object.keys(planeFolders)) },
    to: {},
  },
  {
    name: 'proto-doors',
    comment: 'generated code is reached through src/proto/xds.ts and its neighbours',
    severity: 'error',
    from: { path: '^src/', pathNot: '^src/proto/' },
    to: { path: '^src/proto/gen/' },
  },
  {
    name: 'not-to-test-code',
    comment: 'what ships does not import tests, examples or scripts',
    severity: 'error',
    from: { path: '^src/' },
    to: { path: '^(test|examples|bench|scripts)/' },
  },
  {
    name: 'no-dev-dependencies',
    comment: 'users do not have them',
    severity: 'error',
    from: { path: '^src/' },
    to: {
      dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
      dependencyTypesNot: ['type-only'],
      pathNot: 'node_modules/@types/',
    },
  },
  {
    name: 'not-unresolvable',
    comment: 'the imported file or package does not exist',
    severity: 'error',
    from: { path: '^src/' },
    to: { couldNotResolve: true },
  },
];

module.exports = {
  forbidden: [
    ...Object.entries(layers).map(([name, allowed]) => layerRule(name, allowed)),
    ...Object.entries(types).map(typesRule),
    ...Object.entries(planeFolders).map(planeRule),
    ...Object.entries(libraries).map(libraryRule),
    ...general,
  ],
  options: {
    // Types count: a layer that names another layer's types depends on it.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: ['node_modules', '^src/proto/gen/'] },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
