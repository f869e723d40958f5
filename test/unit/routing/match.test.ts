import { describe, expect, test } from 'vitest';
import type { HeaderMatcher } from '../../../src/model/matcher.js';
import type { UniversalPathRules } from '../../../src/model/request-processing.js';
import {
  asciiLower,
  compileHeaderMatcher,
  compileHeaderMatchers,
  compilePath,
  compileQueryMatchers,
  compileString,
  findQueryParameter,
  pathOf,
} from '../../../src/routing/match.js';
import { normalizePath } from '../../../src/routing/normalize-path.js';
import { universalTarget } from '../../../src/routing/universal-path.js';
import { exactHeader, head } from './fixtures.js';

describe('string matchers', () => {
  test.each([
    ['exact', 'abc', 'abc', true],
    ['exact', 'abc', 'ABC', false],
    ['prefix', 'ab', 'abc', true],
    ['suffix', 'bc', 'abc', true],
    ['contains', 'b', 'abc', true],
    ['contains', 'x', 'abc', false],
  ] as const)('%s %s on %s is %s', (kind, value, input, expected) => {
    expect(compileString({ kind, value, ignoreCase: false })(input)).toBe(expected);
  });

  test.each(['exact', 'prefix', 'suffix', 'contains'] as const)('%s ignores case when told so', (kind) => {
    expect(compileString({ kind, value: 'AbC', ignoreCase: true })('aBc')).toBe(true);
  });

  test('case is ignored for ASCII letters only', () => {
    // The Kelvin sign is K in Unicode's lower case.
    expect(compileString({ kind: 'exact', value: 'k', ignoreCase: true })('\u212a')).toBe(false);
    expect(asciiLower('Ä\u212aK')).toBe('Ä\u212ak');
  });
});

describe('header matchers', () => {
  test('a missing header that is treated as empty counts as present', () => {
    const matcher: HeaderMatcher = {
      name: 'x-none',
      match: { kind: 'present', present: true },
      invert: false,
      treatMissingAsEmpty: true,
    };
    expect(compileHeaderMatcher(matcher)(head('/'))).toBe(true);
    expect(compileHeaderMatcher({ ...matcher, invert: true })(head('/'))).toBe(false);
  });

  const lines = [
    ['x-one', 'a'],
    ['x-two', 'a'],
    ['x-two', 'b'],
  ] as const;

  test.each<[string, HeaderMatcher, boolean]>([
    ['a value', exactHeader('x-one', 'a'), true],
    ['a name in another case', exactHeader('X-One', 'a'), true],
    ['another value', exactHeader('x-one', 'b'), false],
    ['any line of a repeated header', exactHeader('x-two', 'b'), true],
    ['the joined lines never', exactHeader('x-two', 'a,b'), false],
    ['inverted, when no line matches', exactHeader('x-two', 'c', { invert: true }), true],
    ['inverted, not when one line matches', exactHeader('x-two', 'b', { invert: true }), false],
    ['a missing header never', exactHeader('x-none', 'a'), false],
    ['a missing header never, even inverted', exactHeader('x-none', 'a', { invert: true }), false],
    ['a missing header as empty', exactHeader('x-none', '', { treatMissingAsEmpty: true }), true],
    [
      'a missing header as empty, inverted',
      exactHeader('x-none', 'a', { treatMissingAsEmpty: true, invert: true }),
      true,
    ],
    ['the authority as host', exactHeader('host', 'reviews'), true],
    ['the method', exactHeader(':method', 'GET'), true],
    ['the path with its query', exactHeader(':path', '/p?q=1'), true],
    ['the scheme', exactHeader(':scheme', 'https'), false],
    ['no member of objects', exactHeader('__proto__', 'x', { invert: true }), false],
  ])('match %s', (_, matcher, expected) => {
    expect(compileHeaderMatcher(matcher)(head('/p?q=1', lines))).toBe(expected);
  });

  test.each([
    [true, false, 'x-one', true],
    [false, false, 'x-one', false],
    [true, true, 'x-one', false],
    [true, true, 'x-none', true],
    [false, false, 'x-none', true],
    [false, true, 'x-none', false],
  ])('present %s inverted %s on %s is %s', (present, invert, name, expected) => {
    const matcher: HeaderMatcher = {
      name,
      match: { kind: 'present', present },
      invert,
      treatMissingAsEmpty: false,
    };
    expect(compileHeaderMatcher(matcher)(head('/', lines))).toBe(expected);
  });

  test.each([
    ['-10', true],
    ['-1', true],
    ['0', false],
    ['+0', false],
    ['-11', false],
    [' -5 ', true],
    ['-5x', false],
    ['', false],
    ['-5.0', false],
    ['0x5', false],
    ['99999999999999999999999', false],
  ])('the range [-10, 0) holds for %s: %s', (value, expected) => {
    const matcher: HeaderMatcher = {
      name: 'x-n',
      match: { kind: 'range', start: -10, end: 0 },
      invert: false,
      treatMissingAsEmpty: false,
    };
    expect(compileHeaderMatcher(matcher)(head('/', [['x-n', value]]))).toBe(expected);
  });

  test('all of several must hold', () => {
    const matchers = [exactHeader('x-one', 'a'), exactHeader('x-two', 'b'), exactHeader(':method', 'GET')];
    expect(compileHeaderMatchers([])(head('/', lines))).toBe(true);
    expect(compileHeaderMatchers(matchers)(head('/', lines))).toBe(true);
    expect(compileHeaderMatchers([...matchers, exactHeader('x-one', 'z')])(head('/', lines))).toBe(false);
  });
});

describe('query parameters', () => {
  test.each([
    ['/p', 'a', undefined],
    ['/p?a=1', 'a', '1'],
    ['/p?a', 'a', ''],
    ['/p?a=', 'a', ''],
    ['/p?ab=1&a=2&a=3', 'a', '2'],
    ['/p?x=a=1', 'a', undefined],
    ['/p?a=%20', 'a', '%20'],
    ['/p?b&&a=1=2', 'a', '1=2'],
    ['/p?', 'a', undefined],
  ])('in %s, %s is %s', (path, name, expected) => {
    expect(findQueryParameter(path, name)).toBe(expected);
  });

  test('a string matcher never holds for a missing parameter', () => {
    const matcher = { kind: 'string', matcher: { kind: 'prefix', value: '', ignoreCase: false } } as const;
    const matches = compileQueryMatchers([{ name: 'a', match: matcher }]);
    expect(matches(head('/p?b=1'))).toBe(false);
    expect(matches(head('/p?a'))).toBe(true);
  });

  test('presence is compared with what is asked for', () => {
    const absent = compileQueryMatchers([{ name: 'a', match: { kind: 'present', present: false } }]);
    expect(absent(head('/p?b=1'))).toBe(true);
    expect(absent(head('/p?a=1'))).toBe(false);
  });
});

describe('paths', () => {
  test.each([
    ['/p', '/p'],
    ['/p?q', '/p'],
    ['/p#f', '/p'],
    ['/p?q#f', '/p'],
    ['/p#f?q', '/p'],
    ['', ''],
  ])('the path of %s is %s', (path, expected) => {
    expect(pathOf(path)).toBe(expected);
  });

  test.each<['prefix' | 'path' | 'path-separated-prefix', string, boolean, string, boolean]>([
    ['prefix', '/api', true, '/api-x', true],
    ['prefix', '/api', true, '/API', false],
    ['prefix', '/api', false, '/API', true],
    ['path', '/api', true, '/api', true],
    ['path', '/api', true, '/api/', false],
    ['path-separated-prefix', '/api', true, '/api', true],
    ['path-separated-prefix', '/api', true, '/api/v1', true],
    ['path-separated-prefix', '/api', true, '/apiv1', false],
    ['path-separated-prefix', '/api', false, '/API/v1', true],
  ])('%s %s (case-sensitive %s) on %s is %s', (kind, value, caseSensitive, path, expected) => {
    expect(compilePath({ kind, value, caseSensitive })(path)).toBe(expected);
  });
});

describe('a range beyond 2^53', () => {
  const matches = (start: number | string, end: number | string, value: string): boolean => {
    const match = { kind: 'range' as const, start, end };
    const matcher = { name: 'x', match, invert: false, treatMissingAsEmpty: false };
    return compileHeaderMatcher(matcher)(head('/', [['x', value]]));
  };

  test.each([
    ['9007199254740993', true],
    ['9007199254740992', false],
    [' +9007199254740993 ', true],
    ['9223372036854775806', true],
    ['9223372036854775807', false],
    ['9223372036854775808', false],
    ['x', false],
  ])('holds %j exactly: %s', (value, expected) => {
    expect(matches('9007199254740993', '9223372036854775807', value)).toBe(expected);
  });

  test('may start at the lowest number of 64 bits', () => {
    expect(matches('-9223372036854775808', 0, '-9223372036854775808')).toBe(true);
    expect(matches('-9223372036854775808', 0, '-9223372036854775809')).toBe(false);
    expect(matches('-9223372036854775808', 0, '0')).toBe(false);
  });
});

describe('paths under the universal header validator', () => {
  const RULES = {
    skipNormalization: false,
    mergeSlashes: true,
    escapedSlashes: 'keep',
    stripFragment: false,
  } as const;
  const via = (path: string, universal: Partial<UniversalPathRules> = {}) => {
    const verdict = normalizePath(path, {
      normalizePath: false,
      mergeSlashes: false,
      escapedSlashes: 'keep',
      universalPath: { ...RULES, ...universal },
    });
    return verdict.kind === 'reject' ? 'reject' : `${verdict.kind} ${verdict.path}`;
  };

  test.each([
    ['//a///b//', 'continue /a/b/'],
    ['/a/./b/../c', 'continue /a/c'],
    ['/a//../b', 'continue /b'],
    ['/a/%2e%2E/b', 'continue /b'],
    ['/a/b/..', 'continue /a/'],
    ['/%7euser/%c3%a9?q=%7e', 'continue /~user/%C3%A9?q=%7e'],
    ['/%252e%252e/x', 'continue /%252e%252e/x'],
    ['/a%2fb%5Cc', 'continue /a%2Fb%5Cc'],
    ['/a\\..\\b', 'continue /b'],
    ['/..', 'reject'],
    ['/a/../../b', 'reject'],
    ['/a%2', 'reject'],
    ['/a%zz', 'reject'],
    ['a/b', 'reject'],
    ['*', 'reject'],
    ['/a#b', 'reject'],
  ])('%s', (path, expected) => {
    expect(via(path)).toBe(expected);
  });

  test('as far as they are asked for', () => {
    expect(via('//a//b', { mergeSlashes: false })).toBe('continue //a//b');
    expect(via('/a%2f..%5Cb', { escapedSlashes: 'forward' })).toBe('continue /b');
    expect(via('/a%2fb', { escapedSlashes: 'redirect' })).toBe('redirect /a/b');
    expect(via('/a%5cb', { escapedSlashes: 'reject' })).toBe('reject');
    expect(via('/a/../b', { skipNormalization: true })).toBe('continue /a/../b');
    expect(via('/a?b#c', { stripFragment: true })).toBe('continue /a?b');
  });

  test('the forms of CONNECT and OPTIONS', () => {
    expect(universalTarget('OPTIONS', '*', RULES).kind).toBe('continue');
    expect(universalTarget('CONNECT', '', RULES).kind).toBe('continue');
    expect(universalTarget('CONNECT', '/', RULES).kind).toBe('reject');
  });
});
