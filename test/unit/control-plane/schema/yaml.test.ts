import { describe, expect, test } from 'vitest';
import { complaintsAbout, newStore, ruleWith, violationsOf } from '../load.js';

const codesOf = (text: string | Uint8Array): readonly string[] => violationsOf(text).map(({ code }) => code);

describe('what YAML may not do', () => {
  test.each([
    ['an unclosed bracket', 'a: [1', 'INMESH_CONFIG_SYNTAX'],
    ['a key that appears twice', 'a: 1\na: 2', 'INMESH_CONFIG_SYNTAX'],
    ['a tag', 'a: !secret x', 'INMESH_CONFIG_SYNTAX'],
    ['a tag of JavaScript', 'a: !!js/function "function(){}"', 'INMESH_CONFIG_SYNTAX'],
    ['the key __proto__', '__proto__: {polluted: true}', 'INMESH_CONFIG_SYNTAX'],
    ['an alias to itself', 'a: &a\n  b: *a', 'INMESH_CONFIG_SYNTAX'],
    ['an alias to nothing', 'a: *b', 'INMESH_CONFIG_SYNTAX'],
    ['a control character', 'a: "b\0c"', 'INMESH_CONFIG_SYNTAX'],
    ['an older version, whose "no" is false', '%YAML 1.1\n---\na: no', 'INMESH_CONFIG_SYNTAX'],
    ['a number without an exact value', 'a: 9007199254740993', 'INMESH_CONFIG_SYNTAX'],
    ['a map as a key', '{a: 1}: b', 'INMESH_CONFIG_SYNTAX'],
    ['deep nesting', '['.repeat(1000), 'INMESH_CONFIG_TOO_LARGE'],
    [
      'deep nesting without brackets',
      Array.from({ length: 100 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
      'INMESH_CONFIG_TOO_LARGE',
    ],
    ['too many documents', '---\n'.repeat(10_001), 'INMESH_CONFIG_TOO_LARGE'],
    ['too many tokens', 'a: b\n'.repeat(130_000), 'INMESH_CONFIG_TOO_LARGE'],
    ['too many bytes', '#'.repeat(1024 * 1024 + 1), 'INMESH_CONFIG_TOO_LARGE'],
  ])('%s is refused', (_, text, code) => {
    expect(codesOf(text)).toContain(code);
    expect(Object.prototype).not.toHaveProperty('polluted');
  });

  test('bytes that are not UTF-8 are refused', () => {
    expect(codesOf(Uint8Array.of(0x61, 0x3a, 0x20, 0xff))).toEqual(['INMESH_CONFIG_SYNTAX']);
  });

  test('aliases that multiply are refused, aliases that repeat are not', () => {
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]'];
    for (const [name, before] of ['b a', 'c b', 'd c', 'e d', 'f e', 'g f'].map((pair) => pair.split(' '))) {
      bomb.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join(',')}]`);
    }
    expect(codesOf(bomb.join('\n'))).toContain('INMESH_CONFIG_TOO_LARGE');
    expect(
      complaintsAbout(ruleWith('subsets:', '- {name: v1, labels: &l {app: x}}', '- {name: v2, labels: *l}')),
    ).toEqual([]);
  });
});

test('a syntax error is shown where it stands', () => {
  expect(complaintsAbout('kind: Service\nname: "x\n')[0]).toMatch(/^3:1 error INMESH_CONFIG_SYNTAX /);
  expect(complaintsAbout('\uFEFFa: 1\na: 2\n')[0]).toMatch(/^2:1 .*the key "a" appears twice/);
});

test('empty documents and comments are nothing', () => {
  expect(
    newStore().propose('files', { files: [{ file: 'a.yaml', content: '# nothing\n---\n---\n# here\n' }] }),
  ).toEqual({
    accepted: true,
    revision: 0,
    violations: [],
  });
});

test('text that looks like something else stays text', () => {
  const store = newStore();
  const labels = 'labels: {country: no, day: 2026-01-01, octal: 0o7x, constructor: none}';
  store.propose('files', {
    files: [{ file: 'a.yaml', content: ruleWith('subsets:', '- name: v1', `  ${labels}`) }],
  });
  const [rule] = store.current.value.list('DestinationRule');
  const found = rule?.spec.subsets?.[0]?.labels ?? {};
  expect({ ...found }).toEqual({ country: 'no', day: '2026-01-01', octal: '0o7x', constructor: 'none' });
  expect(found['toString']).toBeUndefined();
});

test('all files together have a limit', () => {
  const files = ['a', 'b', 'c'].map((name) => ({ file: `${name}.yaml`, content: '#'.repeat(60) }));
  const result = newStore({ limits: { totalBytes: 150 } }).propose('files', { files });
  expect(result.violations.map(({ code, origin }) => [code, origin.file])).toEqual([
    ['INMESH_CONFIG_TOO_LARGE', 'c.yaml'],
  ]);
});
