import { describe, expect, test } from 'vitest';
import { parseRewriteTemplate, parseTemplate, templateRegExp } from '../../../src/model/path-template.js';

describe('a path template', () => {
  test.each([
    ['/a/*', '/a/b', true],
    ['/a/*', '/a/', false],
    ['/a/*', '/a/b/c', false],
    ['/a/**', '/a/', true],
    ['/a/**', '/a/b/c', true],
    ['/a/**', '/a', false],
    ['/**.mpd', '/content/1/manifest.mpd', true],
    ['/**.mpd', '/content/1/manifest.mpd/x', false],
    ['/**/end', '/a/b/end', true],
    ['/{x}/b', '/a/b', true],
    ['/{x=v/*}/b', '/v/1/b', true],
    ['/{x=v/*}/b', '/w/1/b', false],
    ['/a(b)+.$', '/a(b)+.$', true],
    ['/a.c', '/abc', false],
    ['/{a}-{b}', '/1-2', true],
    ['/a/', '/a/', true],
    ['/', '/', true],
    ['/*', '/ä', false],
  ])('%s matches %s: %s', (template, path, expected) => {
    expect(templateRegExp(template).test(path)).toBe(expected);
  });

  test('gives what its variables stand for', () => {
    const groups = templateRegExp('/u/{user=*}/{rest=**}').exec('/u/jason/a/b')?.groups;
    expect({ ...groups }).toEqual({ user: 'jason', rest: 'a/b' });
  });

  test.each([
    ['a', 'must start with "/"'],
    ['/a b', 'must start with "/" and have no spaces'],
    ['/{a', 'a bracket that is not closed'],
    ['/{1a}', 'no valid variable name'],
    ['/{a=}', 'a variable with an empty pattern'],
    ['/{a=*b}', 'a slash after a wildcard'],
    ['/{a}/{a}', 'a variable twice'],
    ['/{a}/{b}/{c}/{d}/{e}/{f}', 'more than 5 variables'],
    [`/{${'a'.repeat(17)}}`, 'more than 16 characters'],
    ['/**/*', 'a wildcard after "**"'],
    ['/{a=**}/{b}', 'a wildcard after "**"'],
    ['/a//b', 'two slashes in a row'],
    ['/a*', 'has the text "a*"'],
    ['/a?b', 'has the text "a?b"'],
  ])('%s is none: it %s', (template, reason) => {
    expect(parseTemplate(template)).toContain(reason);
  });
});

describe('a rewrite template', () => {
  test('is text and variables', () => {
    expect(parseRewriteTemplate('/a/{x}b/{y}')).toEqual([
      { text: '/a/' },
      { variable: 'x' },
      { text: 'b/' },
      { variable: 'y' },
    ]);
  });

  test.each([
    ['a', 'must start with "/"'],
    ['/a//b', 'two slashes in a row'],
    ['/{x=*}', 'a brace that encloses no variable name'],
    ['/{x', 'a brace that encloses no variable name'],
    ['/a?b', 'a character that no path may have'],
    ['/a}', 'a character that no path may have'],
  ])('%s is none: it %s', (template, reason) => {
    expect(parseRewriteTemplate(template)).toContain(reason);
  });
});
