import { create, type DescMessage } from '@bufbuild/protobuf';
import type {
  ConnectionInput,
  MatchEntry,
  MatchInput,
  MatchNode,
  MatchPredicate,
  MatchTree,
  OnMatch,
} from '../model/match-tree.js';
import type { StringMatcher } from '../model/matcher.js';
import { anyIs, packAny } from '../proto/any.js';
import { matcher as envoyMatcher, networkInputs, xdsCore, xdsMatcher } from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { onlyFields } from './field-guard.js';
import { readableHeader } from './header-mutation.js';
import { decodeRegex, encodeRegex } from './matcher.js';
import { at, atKey, type Path, refuse, required } from './path.js';

/** What of a tree differs by its place. */
export interface TreeCodec<A> {
  /** Whether the tree may look at the connection. Default false. */
  readonly readsConnection?: boolean;
  decodeAction(extension: xdsCore.TypedExtensionConfig, path: Path): A;
  encodeAction(action: A): xdsCore.TypedExtensionConfig;
}

const stringFields = onlyFields(() => xdsMatcher.StringMatcherSchema, {
  enforced: ['exact', 'prefix', 'suffix', 'safe_regex', 'contains', 'ignore_case'],
});
const treeFields = onlyFields(() => xdsMatcher.Matcher_MatcherTreeSchema, {
  enforced: ['input', 'exact_match_map', 'prefix_match_map'],
});
const predicateFields = onlyFields(() => xdsMatcher.Matcher_MatcherList_Predicate_SinglePredicateSchema, {
  enforced: ['input', 'value_match'],
});

/** The match tree. */
export function decodeMatchTree<A>(
  message: xdsMatcher.Matcher,
  path: Path,
  codec: TreeCodec<A>,
): MatchTree<A> {
  return {
    node: decodeNode(message.matcherType, path, codec),
    otherwise: message.onNoMatch && decodeStep(message.onNoMatch, at(path, 'on_no_match'), codec),
  };
}

function decodeNode<A>(
  type: xdsMatcher.Matcher['matcherType'],
  path: Path,
  codec: TreeCodec<A>,
): MatchNode<A> | undefined {
  switch (type.case) {
    case 'matcherList': {
      const { matchers } = type.value;
      const where = at(path, 'matcher_list');
      if (matchers.length === 0) refuse(at(where, 'matchers'), 'must not be empty');
      const decode = (one: xdsMatcher.Matcher_MatcherList_FieldMatcher, index: number) =>
        decodeEntry(one, at(where, 'matchers', index), codec);
      return { kind: 'list', entries: matchers.map(decode) };
    }
    case 'matcherTree':
      return decodeMap(type.value, at(path, 'matcher_tree'), codec);
    default:
      return undefined;
  }
}

function decodeEntry<A>(
  { predicate, onMatch }: xdsMatcher.Matcher_MatcherList_FieldMatcher,
  path: Path,
  codec: TreeCodec<A>,
): MatchEntry<A> {
  return {
    predicate: decodePredicate(required(predicate, at(path, 'predicate')), at(path, 'predicate'), codec),
    onMatch: decodeStep(required(onMatch, at(path, 'on_match')), at(path, 'on_match'), codec),
  };
}

function decodeMap<A>(
  message: xdsMatcher.Matcher_MatcherTree,
  path: Path,
  codec: TreeCodec<A>,
): MatchNode<A> {
  treeFields(message, path);
  const { treeType } = message;
  if (treeType.case !== 'exactMatchMap' && treeType.case !== 'prefixMatchMap') {
    return refuse(path, 'needs an exact_match_map or a prefix_match_map');
  }
  const isExact = treeType.case === 'exactMatchMap';
  const where = at(path, isExact ? 'exact_match_map' : 'prefix_match_map');
  const entries = Object.entries(treeType.value.map);
  if (entries.length === 0) refuse(at(where, 'map'), 'must not be empty');
  return {
    kind: isExact ? 'exact-map' : 'prefix-map',
    input: decodeInput(required(message.input, at(path, 'input')), at(path, 'input'), codec),
    entries: new Map(
      entries.map(([key, step]) => [key, decodeStep(step, atKey(where, 'map', key), codec)] as const),
    ),
  };
}

function decodeStep<A>(
  { onMatch, keepMatching }: xdsMatcher.Matcher_OnMatch,
  path: Path,
  codec: TreeCodec<A>,
): OnMatch<A> {
  switch (onMatch.case) {
    case 'action':
      return { kind: 'action', action: codec.decodeAction(onMatch.value, at(path, 'action')), keepMatching };
    case 'matcher':
      return { kind: 'tree', tree: decodeMatchTree(onMatch.value, at(path, 'matcher'), codec), keepMatching };
    default:
      return refuse(path, 'needs an action or a matcher');
  }
}

function decodePredicate(
  { matchType }: xdsMatcher.Matcher_MatcherList_Predicate,
  path: Path,
  inputs: InputRules,
): MatchPredicate {
  switch (matchType.case) {
    case 'singlePredicate': {
      const where = at(path, 'single_predicate');
      predicateFields(matchType.value, where);
      const { input, matcher } = matchType.value;
      if (matcher.case !== 'valueMatch') return refuse(where, 'needs a value_match');
      return {
        kind: 'value',
        input: decodeInput(required(input, at(where, 'input')), at(where, 'input'), inputs),
        matcher: decodeString(matcher.value, at(where, 'value_match')),
      };
    }
    case 'orMatcher':
      return { kind: 'or', predicates: decodeAll(matchType.value, at(path, 'or_matcher'), inputs) };
    case 'andMatcher':
      return { kind: 'and', predicates: decodeAll(matchType.value, at(path, 'and_matcher'), inputs) };
    case 'notMatcher':
      return { kind: 'not', predicate: decodePredicate(matchType.value, at(path, 'not_matcher'), inputs) };
    default:
      return refuse(path, 'needs a match type');
  }
}

function decodeAll(
  { predicate }: xdsMatcher.Matcher_MatcherList_Predicate_PredicateList,
  path: Path,
  inputs: InputRules,
): readonly MatchPredicate[] {
  if (predicate.length < 2) refuse(at(path, 'predicate'), 'must have at least 2 entries');
  return predicate.map((one, index) => decodePredicate(one, at(path, 'predicate', index), inputs));
}

type InputRules = Pick<TreeCodec<unknown>, 'readsConnection'>;

/** The inputs of a connection by their messages. */
const CONNECTION_INPUTS: readonly (readonly [ConnectionInput, () => DescMessage])[] = [
  ['destination-ip', () => networkInputs.DestinationIPInputSchema],
  ['destination-port', () => networkInputs.DestinationPortInputSchema],
  ['source-ip', () => networkInputs.SourceIPInputSchema],
  ['source-port', () => networkInputs.SourcePortInputSchema],
  ['direct-source-ip', () => networkInputs.DirectSourceIPInputSchema],
  ['server-name', () => networkInputs.ServerNameInputSchema],
];

/** Envoy: route tables look at request headers and at filter state only. */
function decodeInput(
  extension: xdsCore.TypedExtensionConfig,
  path: Path,
  { readsConnection = false }: InputRules,
): MatchInput {
  const config = required(extension.typedConfig, at(path, 'typed_config'));
  const header = decodeAny(envoyMatcher.HttpRequestHeaderMatchInputSchema, config, path);
  if (header !== undefined) {
    const where = at(at(path, 'typed_config'), 'header_name');
    return { kind: 'request-header', name: readableHeader(header.headerName, where) };
  }
  const state = decodeAny(networkInputs.FilterStateInputSchema, config, path);
  if (state !== undefined) return { kind: 'filter-state', key: state.key };
  const found = readsConnection && CONNECTION_INPUTS.find(([, schema]) => anyIs(config, schema()));
  if (found !== undefined && found !== false) return { kind: 'connection', of: found[0] };
  return refuse(path, `the input ${JSON.stringify(config.typeUrl)} is not supported`);
}

function decodeString(message: xdsMatcher.StringMatcher, path: Path): StringMatcher {
  stringFields(message, path);
  const { matchPattern: pattern, ignoreCase } = message;
  switch (pattern.case) {
    case 'exact':
      return { kind: 'exact', value: pattern.value, ignoreCase };
    case 'prefix':
    case 'suffix':
    case 'contains':
      if (pattern.value === '') refuse(at(path, pattern.case), 'must not be empty');
      return { kind: pattern.case, value: pattern.value, ignoreCase };
    case 'safeRegex':
      if (ignoreCase) refuse(at(path, 'ignore_case'), 'has no effect on safe_regex');
      return {
        kind: 'regex',
        pattern: decodeRegex(encodeRegex(pattern.value.regex), at(path, 'safe_regex')),
      };
    default:
      return refuse(path, 'needs a match pattern');
  }
}

/** The match tree as a message. */
export function encodeMatchTree<A>(
  { node, otherwise }: MatchTree<A>,
  codec: TreeCodec<A>,
): xdsMatcher.Matcher {
  const message = create(xdsMatcher.MatcherSchema, { matcherType: encodeNode(node, codec) });
  if (otherwise !== undefined) message.onNoMatch = encodeStep(otherwise, codec);
  return message;
}

function encodeNode<A>(
  node: MatchNode<A> | undefined,
  codec: TreeCodec<A>,
): xdsMatcher.Matcher['matcherType'] {
  if (node === undefined) return { case: undefined };
  if (node.kind === 'list') {
    const matchers = node.entries.map(({ predicate, onMatch }) =>
      create(xdsMatcher.Matcher_MatcherList_FieldMatcherSchema, {
        predicate: encodePredicate(predicate),
        onMatch: encodeStep(onMatch, codec),
      }),
    );
    return { case: 'matcherList', value: create(xdsMatcher.Matcher_MatcherListSchema, { matchers }) };
  }
  const map: Record<string, xdsMatcher.Matcher_OnMatch> = Object.create(null);
  for (const [key, step] of node.entries) map[key] = encodeStep(step, codec);
  const value = create(xdsMatcher.Matcher_MatcherTree_MatchMapSchema, { map });
  const treeType =
    node.kind === 'exact-map'
      ? { case: 'exactMatchMap' as const, value }
      : { case: 'prefixMatchMap' as const, value };
  const tree = create(xdsMatcher.Matcher_MatcherTreeSchema, { input: encodeInput(node.input), treeType });
  return { case: 'matcherTree', value: tree };
}

function encodeStep<A>(step: OnMatch<A>, codec: TreeCodec<A>): xdsMatcher.Matcher_OnMatch {
  return create(xdsMatcher.Matcher_OnMatchSchema, {
    onMatch:
      step.kind === 'action'
        ? { case: 'action', value: codec.encodeAction(step.action) }
        : { case: 'matcher', value: encodeMatchTree(step.tree, codec) },
    keepMatching: step.keepMatching,
  });
}

function encodePredicate(predicate: MatchPredicate): xdsMatcher.Matcher_MatcherList_Predicate {
  return create(xdsMatcher.Matcher_MatcherList_PredicateSchema, { matchType: encodeMatchType(predicate) });
}

function encodeMatchType(predicate: MatchPredicate): xdsMatcher.Matcher_MatcherList_Predicate['matchType'] {
  switch (predicate.kind) {
    case 'value': {
      const value = create(xdsMatcher.Matcher_MatcherList_Predicate_SinglePredicateSchema, {
        input: encodeInput(predicate.input),
        matcher: { case: 'valueMatch', value: encodeString(predicate.matcher) },
      });
      return { case: 'singlePredicate', value };
    }
    case 'not':
      return { case: 'notMatcher', value: encodePredicate(predicate.predicate) };
    default: {
      const value = create(xdsMatcher.Matcher_MatcherList_Predicate_PredicateListSchema, {
        predicate: predicate.predicates.map(encodePredicate),
      });
      return { case: predicate.kind === 'or' ? 'orMatcher' : 'andMatcher', value };
    }
  }
}

function encodeInput(input: MatchInput): xdsCore.TypedExtensionConfig {
  if (input.kind === 'request-header') {
    const schema = envoyMatcher.HttpRequestHeaderMatchInputSchema;
    return matchExtension('request-headers', packAny(schema, create(schema, { headerName: input.name })));
  }
  if (input.kind === 'connection') {
    const [, found] = CONNECTION_INPUTS.find(([of]) => of === input.of) ?? [];
    if (found === undefined) throw new TypeError(`no message for the input ${input.of}`);
    return matchExtension(input.of, packAny(found(), create(found())));
  }
  const schema = networkInputs.FilterStateInputSchema;
  return matchExtension('filter-state', packAny(schema, create(schema, { key: input.key })));
}

function encodeString(model: StringMatcher): xdsMatcher.StringMatcher {
  if (model.kind === 'regex') {
    const value = create(xdsMatcher.RegexMatcherSchema, {
      engineType: { case: 'googleRe2', value: create(xdsMatcher.RegexMatcher_GoogleRE2Schema) },
      regex: model.pattern,
    });
    return create(xdsMatcher.StringMatcherSchema, { matchPattern: { case: 'safeRegex', value } });
  }
  const { kind, value, ignoreCase } = model;
  return create(xdsMatcher.StringMatcherSchema, { matchPattern: { case: kind, value }, ignoreCase });
}

/** An extension of a match tree: its type is of another package than Envoy's. */
export function matchExtension(
  name: string,
  typedConfig: ReturnType<typeof packAny>,
): xdsCore.TypedExtensionConfig {
  return create(xdsCore.TypedExtensionConfigSchema, { name, typedConfig });
}
