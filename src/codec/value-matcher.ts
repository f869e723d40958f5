import { create } from '@bufbuild/protobuf';
import type { FilterStateMatcher, MetadataMatcher, ValueMatcher } from '../model/value-matcher.js';
import { matcher, type } from '../proto/xds.js';
import { decodeRanges, encodeRanges } from './cidr.js';
import { onlyFields } from './field-guard.js';
import { decodeStringMatcher, encodeStringMatcher } from './matcher.js';
import { at, type Path, refuse, required } from './path.js';

const metadataFields = onlyFields(() => matcher.MetadataMatcherSchema, {
  enforced: ['filter', 'path', 'value', 'invert'],
});
const stateFields = onlyFields(() => matcher.FilterStateMatcherSchema, {
  enforced: ['key', 'string_match', 'address_match'],
});

/** The metadata matcher. */
export function decodeMetadataMatcher(message: matcher.MetadataMatcher, path: Path): MetadataMatcher {
  metadataFields(message, path);
  if (message.filter === '') refuse(at(path, 'filter'), 'must not be empty');
  if (message.path.length === 0) refuse(at(path, 'path'), 'must not be empty');
  return {
    namespace: message.filter,
    path: message.path.map(({ segment }, index) =>
      segment.case === 'key' && segment.value !== ''
        ? segment.value
        : refuse(at(path, 'path', index), 'needs a key'),
    ),
    value: decodeValueMatcher(required(message.value, at(path, 'value')), at(path, 'value')),
    invert: message.invert,
  };
}

/** The value matcher. */
export function decodeValueMatcher({ matchPattern }: matcher.ValueMatcher, path: Path): ValueMatcher {
  switch (matchPattern.case) {
    case 'stringMatch':
      return { kind: 'string', matcher: decodeStringMatcher(matchPattern.value, at(path, 'string_match')) };
    case 'boolMatch':
      return { kind: 'bool', value: matchPattern.value };
    case 'presentMatch':
      return { kind: 'present', value: matchPattern.value };
    case 'nullMatch':
      return { kind: 'null' };
    case 'doubleMatch':
      return decodeNumber(matchPattern.value, at(path, 'double_match'));
    case 'listMatch': {
      const where = at(at(path, 'list_match'), 'one_of');
      const { matchPattern: inner } = matchPattern.value;
      if (inner.case !== 'oneOf') return refuse(where, 'must be set');
      return { kind: 'one-of', matcher: decodeValueMatcher(inner.value, where) };
    }
    case 'orMatch': {
      const { valueMatchers } = matchPattern.value;
      const where = at(path, 'or_match');
      if (valueMatchers.length < 2) refuse(at(where, 'value_matchers'), 'must have at least 2 entries');
      const decode = (one: matcher.ValueMatcher, index: number) =>
        decodeValueMatcher(one, at(where, 'value_matchers', index));
      return { kind: 'or', matchers: valueMatchers.map(decode) };
    }
    default:
      return refuse(path, 'needs a match pattern');
  }
}

function decodeNumber({ matchPattern }: matcher.DoubleMatcher, path: Path): ValueMatcher {
  switch (matchPattern.case) {
    case 'exact':
      return { kind: 'number', value: matchPattern.value };
    case 'range':
      return { kind: 'range', start: matchPattern.value.start, end: matchPattern.value.end };
    default:
      return refuse(path, 'needs an exact value or a range');
  }
}

/** The metadata matcher as a message. */
export function encodeMetadataMatcher({
  namespace,
  path,
  value,
  invert,
}: MetadataMatcher): matcher.MetadataMatcher {
  return create(matcher.MetadataMatcherSchema, {
    filter: namespace,
    path: path.map((key) => ({ segment: { case: 'key' as const, value: key } })),
    value: encodeValueMatcher(value),
    invert,
  });
}

/** The value matcher as a message. */
export function encodeValueMatcher(model: ValueMatcher): matcher.ValueMatcher {
  return create(matcher.ValueMatcherSchema, { matchPattern: encodePattern(model) });
}

function encodePattern(model: ValueMatcher): matcher.ValueMatcher['matchPattern'] {
  switch (model.kind) {
    case 'string':
      return { case: 'stringMatch', value: encodeStringMatcher(model.matcher) };
    case 'bool':
      return { case: 'boolMatch', value: model.value };
    case 'present':
      return { case: 'presentMatch', value: model.value };
    case 'null':
      return { case: 'nullMatch', value: create(matcher.ValueMatcher_NullMatchSchema) };
    case 'number': {
      const matchPattern = { case: 'exact' as const, value: model.value };
      return { case: 'doubleMatch', value: create(matcher.DoubleMatcherSchema, { matchPattern }) };
    }
    case 'range': {
      const value = create(type.DoubleRangeSchema, { start: model.start, end: model.end });
      const matchPattern = { case: 'range' as const, value };
      return { case: 'doubleMatch', value: create(matcher.DoubleMatcherSchema, { matchPattern }) };
    }
    case 'one-of': {
      const matchPattern = { case: 'oneOf' as const, value: encodeValueMatcher(model.matcher) };
      return { case: 'listMatch', value: create(matcher.ListMatcherSchema, { matchPattern }) };
    }
    case 'or': {
      const valueMatchers = model.matchers.map(encodeValueMatcher);
      return { case: 'orMatch', value: create(matcher.OrMatcherSchema, { valueMatchers }) };
    }
  }
}

/** The filter state matcher. */
export function decodeStateMatcher(message: matcher.FilterStateMatcher, path: Path): FilterStateMatcher {
  stateFields(message, path);
  const { key, matcher: specifier } = message;
  if (key === '') refuse(at(path, 'key'), 'must not be empty');
  switch (specifier.case) {
    case 'stringMatch': {
      const value = decodeStringMatcher(specifier.value, at(path, 'string_match'));
      return { key, match: { kind: 'string', matcher: value } };
    }
    case 'addressMatch': {
      const ranges = decodeRanges(specifier.value.ranges, at(path, 'address_match'), 'ranges');
      return { key, match: { kind: 'address', ranges } };
    }
    default:
      return refuse(path, 'needs a matcher');
  }
}

/** The filter state matcher as a message. */
export function encodeStateMatcher({ key, match }: FilterStateMatcher): matcher.FilterStateMatcher {
  return create(matcher.FilterStateMatcherSchema, {
    key,
    matcher:
      match.kind === 'string'
        ? { case: 'stringMatch', value: encodeStringMatcher(match.matcher) }
        : {
            case: 'addressMatch',
            value: create(matcher.AddressMatcherSchema, { ranges: encodeRanges(match.ranges) }),
          },
  });
}
