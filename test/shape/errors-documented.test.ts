import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');
const [codes = '', reasons = ''] = page.split('## Reasons that are no errors');

/** The codes in the first cells of the tables. */
function documented(section: string): string[] {
  return [...section.matchAll(/^\| `(INMESH_[A-Z_]+)` \|/gm)].map(([, code = '']) => code);
}

/** The members of the type MeshErrorCode. */
function declared(): string[] {
  const source = readFileSync(join(root, 'src/runtime/errors.ts'), 'utf8');
  const [, union = ''] = /export type MeshErrorCode =([^;]+);/.exec(source) ?? [];
  return [...union.matchAll(/'(INMESH_[A-Z_]+)'/g)].map(([, code = '']) => code);
}

/** Reasons that the sources put into answers. */
function answered(): string[] {
  const found = new Set<string>();
  for (const name of readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || name.startsWith('proto')) continue;
    const source = readFileSync(join(root, 'src', name), 'utf8');
    for (const [, code = ''] of source.matchAll(/(?:reason: |problem\(\s*\d+,\s*|: )'(INMESH_[A-Z_]+)'/g))
      found.add(code);
  }
  return [...found];
}

describe('docs/errors.md', () => {
  test('lists exactly the codes that exist, each once', () => {
    expect(documented(codes).toSorted()).toEqual(declared().toSorted());
  });

  test('lists every other reason that an answer can carry', () => {
    const known = new Set([...documented(codes), ...documented(reasons)]);
    expect(answered().filter((code) => !known.has(code))).toEqual([]);
    expect(documented(reasons).filter((code) => !answered().includes(code))).toEqual([]);
  });
});
