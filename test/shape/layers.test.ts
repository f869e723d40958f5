import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const scratch = mkdtempSync(join(tmpdir(), 'inmesh-layers-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Runs dependency-cruiser as CI does and returns its report; `ok` is its verdict. */
function cruise(cwd: string): Promise<{ ok: boolean; report: string }> {
  const bin = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  return new Promise((resolve) => {
    execFile(process.execPath, [bin, '--output-type', 'err', 'src'], { cwd }, (error, stdout, stderr) =>
      resolve({ ok: error === null, report: stdout + stderr }),
    );
  });
}

test('every import points down the layer table', async () => {
  const { ok, report } = await cruise(root);
  expect(ok, report).toBe(true);
});

/** One forbidden import each, and the rule that has to notice. */
const offences = [
  ['runtime/zz-up.ts', `import '../mesh/zz-target.js';`, 'layer-runtime'],
  [
    'model/zz-type.ts',
    `import type { Target } from '../cluster/zz-target.js';\nexport type A = Target;`,
    'layer-model',
  ],
  ['control-plane/zz-client.ts', `import '../xds/zz-target.js';`, 'layer-control-plane'],
  ['bindings/zz-value.ts', `import '../cluster/zz-target.js';`, 'layer-bindings-types'],
  ['cluster/zz-library.ts', `import 'undici';`, 'library-undici'],
  ['xds/zz-library.ts', `import '@grpc/grpc-js';`, 'library--grpc-grpc-js'],
  ['service/zz-cycle-a.ts', `import './zz-cycle-b.js';`, 'no-cycles'],
  ['zz-new-layer/zz-file.ts', `import '../runtime/zz-up.js';`, 'no-unknown-layer'],
  ['runtime/zz-dev.ts', `import 'fast-check';`, 'no-dev-dependencies'],
  ['codec/zz-nowhere.ts', `import './zz-missing.js';`, 'not-unresolvable'],
  ['cli/zz-deep.ts', `import '../mesh/zz-target.js';`, 'layer-cli'],
] as const;

const innocents = [
  ['bindings/zz-types.ts', `import type { Target } from '../cluster/zz-target.js';\nexport type A = Target;`],
  ['bindings/undici/zz-home.ts', `import 'undici';`],
  ['mesh/zz-down.ts', `import '../runtime/zz-fine.js';`],
] as const;

/** What the files above import. */
const targets = [
  ...['mesh/zz-target.ts', 'cluster/zz-target.ts', 'xds/zz-target.ts', 'runtime/zz-fine.ts'].map(
    (path) => [path, 'export type Target = string;'] as const,
  ),
  ['service/zz-cycle-b.ts', `import './zz-cycle-a.js';`] as const,
];

function addFile(path: string, source: string) {
  const file = join(scratch, 'src', path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${source}\n`);
}

let offended: Promise<{ ok: boolean; report: string }> | undefined;

/** A copy of the sources with all offences added: one run serves all tests. */
function offend() {
  offended ??= (async () => {
    for (const path of ['src', 'package.json', 'tsconfig.json', '.dependency-cruiser.cjs']) {
      cpSync(join(root, path), join(scratch, path), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(scratch, 'node_modules'));
    for (const [path, source] of [...targets, ...offences, ...innocents]) addFile(path, source);
    return cruise(scratch);
  })();
  return offended;
}

test.each(offences)('src/%s with %j breaks the build', async (path, _source, rule) => {
  const { ok, report } = await offend();
  expect(ok).toBe(false);
  const complaint = report.split('\n').find((line) => line.includes(rule) && line.includes(`src/${path}`));
  expect(complaint, report).toBeDefined();
});

test.each(innocents)('src/%s with %j is fine', async (path) => {
  const { report } = await offend();
  expect(report).not.toContain(`src/${path}`);
});
