import { describe, expect, test } from 'vitest';
import { compileRegex, literalPrefix } from '../../../src/routing/regex.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { withinCpuMs } from '../../vectors/cpu-time.js';

describe('regular expressions', () => {
  test.each([
    ['foo.*', 'foobar', true],
    ['foo', 'foobar', false],
    ['/api/v[0-9]+/x', '/api/v12/x', true],
    ['/api/v[0-9]+/x', '/web/v12/x', false],
    ['^(.*?;)?(user=jason)(;.*)?$', 'a=b;user=jason;c=d', true],
    ['(?i)abc', 'ABC', true],
    ['ab*', 'a', true],
    ['a|b', 'b', true],
    ['a\\.b', 'a.b', true],
    ['a\\.b', 'axb', false],
    ['a\\.?b', 'ab', true],
    ['ab{0}', 'a', true],
    ['.*', '\u00ff\u0080', true],
  ])('%s on %s is %s', (pattern, value, expected) => {
    expect(compileRegex(pattern)(value)).toBe(expected);
  });

  test.each([
    ['/api/v[0-9]', '/api/v'],
    ['^/api\\.x.*', '/api.x'],
    ['abc*', 'ab'],
    ['a|b', ''],
    ['(?i)abc', ''],
    ['(abc)', ''],
    ['\\d+', ''],
    ['', ''],
  ])('every match of %s starts with "%s"', (pattern, prefix) => {
    expect(literalPrefix(pattern)).toBe(prefix);
  });

  test.each(['(?=a)', '(a)\\1', '(', '*a', '(?<=a)b'])('%s is refused, as RE2 refuses it', (pattern) => {
    expect(() => compileRegex(pattern)).toThrowError(MeshError);
    expect(() => compileRegex(pattern)).toThrowError(/INMESH_CONFIG_INVALID/);
  });

  test('a hostile pattern takes linear time', async () => {
    const matches = compileRegex('(x+x+)+y');
    expect(await withinCpuMs(500, () => matches('x'.repeat(5000)))).toBe(false);
  });
});
