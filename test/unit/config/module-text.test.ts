import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { runInThisContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { KIND_HEADS } from '../../../src/config/gen/kinds.js';
import * as config from '../../../src/config.js';
import { run } from '../cli/run.js';

// A module that is written is read by the compiler (it is among the files that `npm run typecheck` looks at), and by this.

/** The documents of a module, as Node would run it. */
function runModule(code: string): readonly object[] {
  const [, names = '', body = ''] =
    /^import \{ ([\w, ]+) \} from 'inmesh\/config';\n\nexport default ([\s\S]+)$/.exec(code) ?? [];
  const make: unknown = runInThisContext(`(config) => { const { ${names} } = config; return ${body} }`);
  if (typeof make !== 'function') throw new Error('no module');
  return make(config).documents;
}

/** Documents without what Kubernetes writes into them. */
function configured({ documents }: config.ConfiguredMesh): readonly object[] {
  return documents.map(({ metadata, ...rest }) => {
    const { status: _, ...kept } = JSON.parse(JSON.stringify(rest));
    const { name, namespace, labels, annotations } = metadata;
    return JSON.parse(JSON.stringify({ ...kept, metadata: { name, namespace, labels, annotations } }));
  });
}

const golden = new URL('../../golden/config/', import.meta.url);
const read = (name: string) => readFileSync(new URL(name, golden), 'utf8');

test('documents become the module that a person would write', async () => {
  const made = await run('convert', '--to', 'ts', '-f', new URL('mesh.yaml', golden).pathname);
  expect(made).toMatchObject({ code: 0, err: expect.stringContaining('13 documents') });
  // UPDATE_GOLDEN=1 writes it; read the difference before you commit it.
  if (process.env['UPDATE_GOLDEN'] !== undefined) writeFileSync(new URL('mesh.config.ts', golden), made.out);
  expect(made.out).toBe(read('mesh.config.ts'));
});

test.each(Object.entries(KIND_HEADS))('%s has a builder of that name', (kind, { apiVersion, kind: word }) => {
  const code = config.toModule([
    { apiVersion, kind: word, metadata: { name: 'a' }, spec: {} } as unknown as config.MeshDocument,
  ]);
  expect(runModule(code), kind).toMatchObject([{ apiVersion, kind: word, metadata: { name: 'a' } }]);
});

function yamlIn(folder: URL): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile() && /\.ya?ml$/.test(one.name))
    .map((one) => `${one.parentPath}/${one.name}`)
    .sort();
}

describe('the module gives the documents that it was made of', () => {
  test.each([
    new URL('mesh.yaml', golden).pathname,
    ...yamlIn(new URL('../../../examples/', import.meta.url)),
    ...yamlIn(new URL('../../../../shared/vectors/istio/samples/', import.meta.url)),
  ])('%s', async (path) => {
    const mesh = await config.fromYaml(readFileSync(path, 'utf8'));
    expect(runModule(config.toModule(mesh))).toEqual(configured(mesh));
  });
});

test('what is invalid is no module', async () => {
  const path = new URL('mesh.yaml', golden).pathname;
  const made = await run('convert', '--to', 'ts', '-o', 'json', '-f', path);
  expect(made).toMatchObject({ code: 2, out: '' });
  const nothing = await run('convert', '--to', 'ts', '-f', `${path}.not`);
  expect(nothing).toMatchObject({ code: 2, out: '' });
});
