import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const scratch = mkdtempSync(join(tmpdir(), 'inmesh-layers-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const config: { readonly forbidden: readonly { readonly name: string }[] } = createRequire(import.meta.url)(
  join(root, '.dependency-cruiser.cjs'),
);
const rules = config.forbidden.map(({ name }) => name);
const named = (prefix: string) =>
  rules.filter((rule) => rule.startsWith(prefix)).map((rule) => rule.slice(prefix.length));

/** One forbidden import each, and the rule that has to notice. */
const offences: readonly (readonly [path: string, source: string, rule: string])[] = [
  // Nobody may import commands; commands may import the public files only.
  ...named('layer-')
    .filter((layer) => !layer.endsWith('-types'))
    .map((layer) => {
      const target = layer === 'cli' ? 'mesh' : 'cli';
      return [`${layer}/zz-up.ts`, `import '../${target}/zz-target.js';`, `layer-${layer}`] as const;
    }),
  // No folder may import the files that put the control plane together.
  ...named('plane-').map(
    (name) => [`control-plane/${name}/zz-up.ts`, `import '../zz-target.js';`, `plane-${name}`] as const,
  ),
  [
    'model/zz-type.ts',
    `import type { A } from '../cluster/zz-target.js';\nexport type B = A;`,
    'layer-model',
  ],
  [
    'control-plane/kinds/zz-type.ts',
    `import type { A } from '../compile/zz-target.js';\nexport type B = A;`,
    'plane-kinds',
  ],
  ['bindings/zz-value.ts', `import '../cluster/zz-target.js';`, 'layer-bindings-types'],
  ['control-plane/zz-value.ts', `import '../filters/zz-target.js';`, 'layer-control-plane-types'],
  ['cluster/zz-undici.ts', `import 'undici';`, 'library-undici'],
  ['filters/zz-opossum.ts', `import 'opossum';`, 'library-opossum'],
  ['xds/zz-grpc.ts', `import '@grpc/grpc-js';`, 'library--grpc-grpc-js'],
  ['service/zz-cycle-a.ts', `import './zz-cycle-b.js';`, 'no-cycles'],
  ['zz-new-layer/zz-file.ts', `import '../runtime/zz-target.js';`, 'no-unknown-layer'],
  ['control-plane/zz-new-folder/zz-file.ts', `import '../schema/zz-target.js';`, 'no-unknown-plane-folder'],
  ['mesh/zz-door.ts', `import '../proto/gen/zz-target.js';`, 'proto-doors'],
  ['runtime/zz-test.ts', `import '../../test/zz-target.js';`, 'not-to-test-code'],
  ['runtime/zz-dev.ts', `import 'fast-check';`, 'no-dev-dependencies'],
  ['codec/zz-nowhere.ts', `import './zz-missing.js';`, 'not-unresolvable'],
];

const innocents = [
  ['bindings/zz-types.ts', `import type { A } from '../cluster/zz-target.js';\nexport type B = A;`],
  ['bindings/undici/zz-home.ts', `import 'undici';`],
  ['mesh/zz-down.ts', `import '../runtime/zz-target.js';`],
  ['control-plane/compile/zz-down.ts', `import '../kinds/zz-target.js';`],
  ['control-plane/zz-part.ts', `import './compile/zz-target.js';`],
] as const;

/** What the files above import. */
const targets = [
  ...['mesh', 'cluster', 'filters', 'cli', 'runtime', 'proto/gen', '../test'].map(
    (folder) => `${folder}/zz-target.ts`,
  ),
  ...['', 'compile/', 'kinds/', 'schema/'].map((folder) => `control-plane/${folder}zz-target.ts`),
].map((path) => [path, 'export type A = string;'] as const);

interface Complaint {
  readonly from: string;
  readonly rule: { readonly name: string };
}

let complaints: readonly Complaint[] = [];

/** One run over a copy of the sources with all offences added serves all tests. */
beforeAll(() => {
  for (const path of ['src', 'package.json', 'tsconfig.json', '.dependency-cruiser.cjs'])
    cpSync(join(root, path), join(scratch, path), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(scratch, 'node_modules'));
  const back = ['service/zz-cycle-b.ts', `import './zz-cycle-a.js';`] as const;
  for (const [path, source] of [...targets, back, ...offences, ...innocents]) {
    const file = join(scratch, 'src', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${source}\n`);
  }
  complaints = cruise(scratch);
});

/** Runs dependency-cruiser as CI does, and returns what it complains about. */
function cruise(cwd: string): readonly Complaint[] {
  const bin = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const args = [bin, '--output-type', 'json', 'src'];
  const report = execFileSync(process.execPath, args, { cwd, maxBuffer: 256 * 1024 * 1024 }).toString();
  return JSON.parse(report).summary.violations;
}

const from = (path: string) => complaints.filter((one) => one.from === `src/${path}`);

test('every import points down the layer table', () => {
  expect(complaints.filter((one) => !/(^|\/)zz-/.test(one.from))).toEqual([]);
});

test.each(offences)('src/%s with %j breaks the build', (path, _source, rule) => {
  expect(from(path).map((one) => one.rule.name)).toContain(rule);
});

test.each(innocents)('src/%s with %j is fine', (path) => {
  expect(from(path)).toEqual([]);
});

test('each rule is seen to bite', () => {
  expect(rules.filter((rule) => !offences.some(([, , bites]) => bites === rule))).toEqual([]);
});
