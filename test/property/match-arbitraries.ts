import * as fc from 'fast-check';
import type { MatchInput, MatchPredicate, MatchTree, OnMatch } from '../../src/model/match-tree.js';
import type { PathMatcher, StringMatcher } from '../../src/model/matcher.js';
import { parseTemplate, variablesOf } from '../../src/model/path-template.js';
import type { Route, WeightedChoice } from '../../src/model/route.js';
import type { MetadataMatcher, ValueMatcher } from '../../src/model/value-matcher.js';

/** Matchers of routes besides those of the head, as the codec can carry them. */

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const some = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[] | undefined> =>
  maybe(fc.array(arbitrary, { minLength: 1, maxLength: 2 }));

/** Templates, with and without variables. */
export const pathTemplate = (): fc.Arbitrary<PathMatcher> =>
  fc
    .constantFrom('/a/{one}/{two=**}', '/{one=b/*}/c', '/a/*/**.mp4', '/{one}-{two}', '/a', '/**')
    .map((template) => ({ kind: 'template' as const, template }));

/** ValueMatcher. */
export const valueMatcher = (text: fc.Arbitrary<StringMatcher>): fc.Arbitrary<ValueMatcher> =>
  fc.letrec<{ value: ValueMatcher }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 2 },
      fc.oneof(
        fc.record({ kind: fc.constant('string' as const), matcher: text }),
        fc.record({ kind: fc.constant('bool' as const), value: fc.boolean() }),
        fc.record({ kind: fc.constant('number' as const), value: fc.integer() }),
        fc.record({ kind: fc.constant('range' as const), start: fc.integer(), end: fc.integer() }),
        fc.record({ kind: fc.constant('present' as const), value: fc.boolean() }),
        fc.constant({ kind: 'null' as const }),
      ),
      fc.record({ kind: fc.constant('one-of' as const), matcher: tie('value') }),
      fc.record({
        kind: fc.constant('or' as const),
        matchers: fc.array(tie('value'), { minLength: 2, maxLength: 3 }),
      }),
    ),
  })).value;

/** MetadataMatcher. */
export const metadataMatcher = (text: fc.Arbitrary<StringMatcher>): fc.Arbitrary<MetadataMatcher> =>
  fc.record({
    namespace: fc.constantFrom('a', 'constructor'),
    path: fc.array(fc.constantFrom('k', 'toString'), { minLength: 1, maxLength: 2 }),
    value: valueMatcher(text),
    invert: fc.boolean(),
  });

/** What a route asks of cookies, the connection, and of what filters say. */
export const contextMatchers = (text: fc.Arbitrary<StringMatcher>) => ({
  cookies: some(fc.record({ name: fc.constantFrom('user', 'a'), matcher: text, invert: fc.boolean() })),
  tls: maybe(fc.record({ presented: maybe(fc.boolean()), validated: maybe(fc.boolean()) })),
  dynamicMetadata: some(metadataMatcher(text)),
  filterState: some(
    fc.record({
      key: fc.constantFrom('address', 'who'),
      match: fc.oneof(
        fc.record({ kind: fc.constant('string' as const), matcher: text }),
        fc.record({
          kind: fc.constant('address' as const),
          ranges: fc.constantFrom(
            [{ address: '10.0.0.0', bits: 8 }],
            [
              { address: '::1', bits: 128 },
              { address: '192.0.2.1', bits: 0 },
            ],
          ),
        }),
      ),
    }),
  ),
});

/** Gives routes that match by a template and rewrite nothing a rewrite with the variables of that one. */
export function withFittingRewrite(route: Route): Route {
  const { action, match } = route;
  if (action.kind !== 'forward' || action.pathRewrite !== undefined) return route;
  if (match.path.kind !== 'template') return route;
  const parts = parseTemplate(match.path.template);
  const names = typeof parts === 'string' ? [] : variablesOf(parts);
  const template = `/to${names.map((name) => `/{${name}}`).join('')}`;
  return { ...route, action: { ...action, pathRewrite: { kind: 'template', template } } };
}

/** What weighted clusters are chosen by. */
export const weightedChoice = (): fc.Arbitrary<WeightedChoice> =>
  fc.constantFrom({ kind: 'header' as const, name: 'x-random' }, { kind: 'hash' as const });

const matchInput = (): fc.Arbitrary<MatchInput> =>
  fc.constantFrom(
    { kind: 'request-header' as const, name: 'x' },
    { kind: 'request-header' as const, name: ':path' },
    { kind: 'filter-state' as const, key: 'who' },
  );

/** Match trees that lead to the given actions. */
export const matchTree = <A>(
  action: fc.Arbitrary<A>,
  text: fc.Arbitrary<StringMatcher>,
): fc.Arbitrary<MatchTree<A>> =>
  fc.letrec<{ tree: MatchTree<A>; step: OnMatch<A>; predicate: MatchPredicate }>((tie) => ({
    predicate: fc.oneof(
      { maxDepth: 1 },
      fc.record({ kind: fc.constant('value' as const), input: matchInput(), matcher: text }),
      fc.record({
        kind: fc.constantFrom('or' as const, 'and' as const),
        predicates: fc.array(tie('predicate'), { minLength: 2, maxLength: 2 }),
      }),
      fc.record({ kind: fc.constant('not' as const), predicate: tie('predicate') }),
    ),
    step: fc.oneof(
      { maxDepth: 1 },
      fc.record({ kind: fc.constant('action' as const), action, keepMatching: fc.boolean() }),
      fc.record({ kind: fc.constant('tree' as const), tree: tie('tree'), keepMatching: fc.boolean() }),
    ),
    tree: fc.record({
      node: fc.option(
        fc.oneof(
          fc.record({
            kind: fc.constant('list' as const),
            entries: fc.array(fc.record({ predicate: tie('predicate'), onMatch: tie('step') }), {
              minLength: 1,
              maxLength: 2,
            }),
          }),
          fc.record({
            kind: fc.constantFrom('exact-map' as const, 'prefix-map' as const),
            input: matchInput(),
            entries: fc
              .array(fc.tuple(fc.constantFrom('', '/', '/a', '/a/b', 'constructor', '1'), tie('step')), {
                minLength: 1,
                maxLength: 3,
              })
              .map((entries) => new Map(entries)),
          }),
        ),
        { nil: undefined },
      ),
      otherwise: fc.option(tie('step'), { nil: undefined }),
    }),
  })).tree;
