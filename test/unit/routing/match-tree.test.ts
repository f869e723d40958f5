import { describe, expect, test } from 'vitest';
import type { MatchNode, MatchPredicate, MatchTree, OnMatch } from '../../../src/model/match-tree.js';
import { compileMatchTree } from '../../../src/routing/match-tree.js';
import { HeaderMap } from '../../../src/service/headers.js';
import { makeRequest } from '../filters/support.js';

const action = (name: string, keepMatching = false): OnMatch<string> => ({
  kind: 'action',
  action: name,
  keepMatching,
});
const subtree = (node: MatchNode<string>): OnMatch<string> => ({
  kind: 'tree',
  tree: { node, otherwise: undefined },
  keepMatching: false,
});
const X = { kind: 'request-header', name: 'x' } as const;
const is = (value: string): MatchPredicate => ({
  kind: 'value',
  input: X,
  matcher: { kind: 'exact', value, ignoreCase: false },
});
const list = (...entries: readonly (readonly [MatchPredicate, OnMatch<string>])[]): MatchNode<string> => ({
  kind: 'list',
  entries: entries.map(([predicate, onMatch]) => ({ predicate, onMatch })),
});
const map = (
  kind: 'exact-map' | 'prefix-map',
  entries: Record<string, OnMatch<string>>,
): MatchNode<string> => ({
  kind,
  input: X,
  entries: new Map(Object.entries(entries)),
});

function choose(node: MatchNode<string> | undefined, values: readonly string[], otherwise?: OnMatch<string>) {
  const tree: MatchTree<string> = { node, otherwise };
  return compileMatchTree(tree)(makeRequest({ headers: HeaderMap.from([['x', values]]) }));
}

describe('a match tree', () => {
  test('takes the first entry of a list that matches', () => {
    const node = list([is('a'), action('one')], [is('a'), action('two')]);
    expect([choose(node, ['a']), choose(node, ['b']), choose(node, [])]).toEqual([
      'one',
      undefined,
      undefined,
    ]);
    expect(choose(node, ['b'], action('rest'))).toBe('rest');
  });

  test('joins predicates', () => {
    const either: MatchPredicate = { kind: 'or', predicates: [is('a'), is('b')] };
    const both: MatchPredicate = { kind: 'and', predicates: [is('a'), is('b')] };
    expect(choose(list([either, action('one')]), ['b'])).toBe('one');
    expect(choose(list([both, action('one')]), ['b'])).toBeUndefined();
    expect(choose(list([{ kind: 'not', predicate: is('a') }, action('one')]), [])).toBe('one');
  });

  test('an entry whose tree finds nothing does not count', () => {
    const node = list([is('a'), subtree(list([is('b'), action('deep')]))], [is('a'), action('next')]);
    expect(choose(node, ['a'])).toBe('next');
  });

  test('what keeps matching is passed over', () => {
    expect(choose(list([is('a'), action('one', true)], [is('a'), action('two')]), ['a'])).toBe('two');
  });

  test('an exact map wants the whole value; lines are joined by commas', () => {
    const node = map('exact-map', { a: action('one'), 'a,b': action('two') });
    expect([choose(node, ['a']), choose(node, ['a', 'b']), choose(node, ['ab'])]).toEqual([
      'one',
      'two',
      undefined,
    ]);
  });

  test('a prefix map takes the longest, and a shorter one when that finds nothing', () => {
    const node = map('prefix-map', {
      '': action('all'),
      '/a': action('short'),
      '/a/b': subtree(map('exact-map', { '/a/b/c': action('deep') })),
    });
    expect(['/a/b/c', '/a/b/x', '/ab', 'z'].map((value) => choose(node, [value]))).toEqual([
      'deep',
      'short',
      'short',
      'all',
    ]);
    expect(choose(node, [])).toBeUndefined();
  });

  test('reads texts that filters left', () => {
    const input = { kind: 'filter-state', key: 'who' } as const;
    const node: MatchNode<string> = {
      kind: 'exact-map',
      input,
      entries: new Map([['jason', action('one')]]),
    };
    const request = makeRequest();
    const find = compileMatchTree({ node, otherwise: undefined });
    expect(find(request)).toBeUndefined();
    request.context.filterState = new Map([['who', 'jason']]);
    expect(find(request)).toBe('one');
  });
});
