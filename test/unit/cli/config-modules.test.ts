import { existsSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { defineMesh, destinationRule, split, virtualService } from '../../../src/config.js';
import { type ControlPlane, createControlPlane, validateFiles } from '../../../src/control-plane.js';
import { run } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'inmesh-modules-'));

function write(name: string, text: string): string {
  const file = join(folder, name);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
  return file;
}

const MESH = `[
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'cart' }, spec: { ports: [{ name: 'http', port: 80 }] } },
  { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'cart' },
    spec: { hosts: ['cart'], http: [{ timeout: '2s', route: [{ destination: { host: 'cart' } }] }] } },
]`;

/** Whether this Node strips types by itself. */
const stripsTypes = Boolean(Reflect.get(process.features, 'typescript'));

describe('a module that is named', () => {
  test.each([
    ['list.mjs', `export default ${MESH};`],
    ['mesh.mjs', `export default { documents: ${MESH} };`],
    ['nested.mjs', `const all = ${MESH}; export default [all[0], [{ documents: [all[1]] }]];`],
    ['function.mjs', `export default () => ({ documents: ${MESH} });`],
    ['promise.mjs', `export default Promise.resolve(${MESH});`],
    ['later.mjs', `export default async () => ${MESH};`],
    ['common.cjs', `module.exports = ${MESH};`],
  ])('gives the mesh that it exports: %s', async (name, text) => {
    const { code, err } = await run('validate', '--strict', write(name, text));
    expect([code, err]).toEqual([0, '2 documents: valid\n']);
  });

  test('is what every command reads a file of', async () => {
    const file = write('all.mjs', `export default ${MESH};`);
    expect((await run('get', 'vs', '-f', file, '-o', 'name')).out).toBe('virtualservice/cart\n');
    const explained = await run('explain', 'GET', 'http://cart/', '-f', file, '-o', 'json');
    expect(explained.code).toBe(0);
    expect(JSON.parse(explained.out).documents).toMatchObject([
      { kind: 'VirtualService', name: 'cart', file },
    ]);
    const analyzed = await run('analyze', file, '-o', 'json');
    expect([analyzed.code, JSON.parse(analyzed.out)]).toEqual([0, []]);
    expect((await run('export', '-f', file)).out).toContain('kind: VirtualService');
  });

  test('has findings by its name, the document and the field', async () => {
    const file = write(
      'wrong.mjs',
      `export default ${MESH.replace("'2s'", "'2'").replace('hosts:', 'host:')};`,
    );
    const { code, out } = await run('validate', file);
    expect(code).toBe(1);
    expect(out).toContain(
      `${file} VirtualService default/cart spec.http[0].timeout error INMESH_CONFIG_INVALID `,
    );
    expect(out).toContain('unknown field "host" (did you mean "hosts"?)');
  });

  test('that fails is no configuration, and the line of it is named', async () => {
    const file = write('broken.mjs', 'const a = 1;\n\nexport default a.b.c;\n');
    expect(await run('validate', file)).toMatchObject({ code: 2 });
    expect((await run('validate', file)).err).toMatch(
      /broken\.mjs:3:\d+ error INMESH_CONFIG_READ cannot be run: TypeError: /,
    );
    const syntax = write('syntax.mjs', 'export default [\n  {,\n];\n');
    expect((await run('validate', syntax)).err).toMatch(/INMESH_CONFIG_READ cannot be run: SyntaxError: /);
    const absent = await run('validate', join(folder, 'absent.mjs'));
    expect([absent.code, absent.err]).toEqual([
      2,
      `${join(folder, 'absent.mjs')} error INMESH_CONFIG_READ cannot be read: there is no such file or directory\n`,
    ]);
  });

  test.each([
    ['nothing', 'export const mesh = [];', 'its default export must be a mesh'],
    ['text', "export default 'a';", 'its default export must be a mesh'],
    [
      'a function in it',
      'export default [{ kind: "VirtualService", metadata: { name: "a" }, spec: { hosts: [() => 1] } }];',
      'spec.hosts[0] can not be a function (VirtualService a)',
    ],
    [
      'a date in it',
      'export default [{ kind: "Quota", metadata: { name: "a" }, spec: { at: new Date(0) } }];',
      'spec.at can not be a Date (Quota a)',
    ],
    ['a number that is none', 'export default [{ weight: NaN }];', 'weight can not be NaN (document 1)'],
    ['no end', 'await new Promise(() => {}); export default [];', 'it ended before it had a default export'],
    ['an early end', 'process.exit(0);', 'it ended before it had a default export'],
  ])('that exports %s is refused with the reason', async (name, text, reason) => {
    const { code, err } = await run('validate', write(`${name.replaceAll(' ', '-')}.mjs`, text));
    expect(code).toBe(2);
    expect(err).toContain(reason);
  });

  test('is run anew each time, with all that it imports', async () => {
    const file = write('outer.mjs', "export { default } from './inner.mjs';");
    write('inner.mjs', 'export default [];');
    expect((await validateFiles([file])).documents).toBe(0);
    write('inner.mjs', `export default ${MESH};`);
    expect((await validateFiles([file])).documents).toBe(2);
  });

  test('may be TypeScript: Node strips the types, or jiti of its project does', async () => {
    const text = `interface Named { readonly name: string }\nconst metadata: Named = { name: 'cart' };\nexport default [{ apiVersion: 'v1', kind: 'Service', metadata, spec: {} }];`;
    const alone = await run('validate', write('alone/mesh.config.mts', text));
    if (stripsTypes) expect(alone.code).toBe(0);
    else {
      expect(alone.code).toBe(2);
      expect(alone.err).toContain('does not read TypeScript, and');
      expect(alone.err).toContain('use Node 22.18 or later, or npm install --save-dev jiti');
    }
    const jiti = fileURLToPath(new URL('../../../node_modules/jiti', import.meta.url));
    const file = write('project/mesh.config.ts', text);
    mkdirSync(join(folder, 'project/node_modules'), { recursive: true });
    if (existsSync(jiti)) symlinkSync(jiti, join(folder, 'project/node_modules/jiti'));
    if (stripsTypes || existsSync(jiti))
      expect((await run('validate', file)).err).toBe('1 document: valid\n');
  });
});

describe('code is never run', () => {
  test('in a folder that is named', async () => {
    write('folder/mesh.config.mjs', 'throw new Error("it was run");');
    write('folder/empty.yaml', '');
    expect(await validateFiles([join(folder, 'folder')])).toEqual({
      documents: 0,
      violations: [],
      unread: [],
    });
  });

  test('by the files that an embedded control plane watches', async () => {
    const plane = await createControlPlane({
      config: [write('watched.mjs', `export default ${MESH};`)],
      ports: { xds: 0, secureXds: 0, http: 0 },
    });
    expect(plane.status().rejected?.violations.map(({ message }) => message)).toEqual([
      'is code, which is not run from here: import it and hand over its mesh, or name it to a command of inmesh',
    ]);
    await plane.close();
  });

  test('nor edited by a command', async () => {
    const file = write('edited.mjs', `export default ${MESH};`);
    const { code, err } = await run('timeout', 'cart', '3s', '-f', file);
    expect(code).toBe(2);
    expect(err).toContain('code is not edited by commands');
  });
});

async function kindsOf({ addresses }: ControlPlane): Promise<readonly string[]> {
  const answer = await fetch(`http://${addresses.http}/api/resources`);
  const { items } = (await answer.json()) as { items: { kind: string }[] };
  return items.map(({ kind }) => kind).toSorted();
}

test('an embedded control plane takes a mesh as its configuration, alone or among files', async () => {
  const rule = destinationRule('reviews', { subsets: { v1: { labels: { version: 'v1' } } } });
  const mesh = defineMesh({
    documents: [
      rule,
      virtualService('reviews', { hosts: ['reviews'], http: [{ route: split(rule, { v1: 100 }) }] }),
    ],
  });
  const alone = await createControlPlane({ config: mesh, ports: { xds: 0, secureXds: 0, http: 0 } });
  expect(alone.status().rejected).toBeUndefined();
  expect(await kindsOf(alone)).toEqual(['DestinationRule', 'VirtualService']);
  await alone.close();

  const broken = defineMesh({ documents: [virtualService('a', { hosts: [] })] });
  const file = write('more.yaml', 'apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {}\n');
  const both = await createControlPlane({ config: [file, broken], ports: { xds: 0, secureXds: 0, http: 0 } });
  expect(both.status().rejected?.violations.map(({ resource, origin }) => [resource, origin])).toEqual([
    ['VirtualService default/a', { file: 'mesh', line: 0, column: 0 }],
  ]);
  await both.close();

  const path = await createControlPlane({ config: file, ports: { xds: 0, secureXds: 0, http: 0 } });
  expect(await kindsOf(path)).toEqual(['Service']);
  await path.close();
});
