import { type DescMessage, fromJson, type JsonValue, type MessageShape } from '@bufbuild/protobuf';
import { expect } from 'vitest';
import { parse } from 'yaml';
import { decodeHeaderMatcher, decodeStringMatcher } from '../../src/codec/matcher.js';
import { rootPath } from '../../src/codec/path.js';
import { decodeMetadataMatcher } from '../../src/codec/value-matcher.js';
import { matcher as matchers, route as routes } from '../../src/proto/xds.js';
import { compileHeaderMatcher, compileString, pathOf } from '../../src/routing/match.js';
import { compileMetadata } from '../../src/routing/value-match.js';
import { head } from '../unit/routing/fixtures.js';
import { vectorJson, vectorSuite } from './score.js';

const path = rootPath('vector');

function message<Desc extends DescMessage>(schema: Desc, json: unknown): MessageShape<Desc> {
  return fromJson(schema, json as JsonValue);
}

interface StringCase {
  readonly name: string;
  readonly line: number;
  readonly type: string;
  readonly matcher: Readonly<Record<string, unknown>>;
  readonly value?: string;
  readonly path?: string;
  readonly metadata?: { readonly filter_metadata: Readonly<Record<string, Record<string, unknown>>> };
  readonly expect: boolean;
}

const VALUES = 'envoy/vectors/value_string_path_matchers.json';

vectorSuite({
  file: VALUES,
  cases: (vectorJson(VALUES) as { cases: readonly StringCase[] } | undefined)?.cases ?? [],
  title: ({ name, line }) => `${name}, line ${line}`,
  skip: ({ type }) =>
    /^(?:String|Path|Metadata)Matcher$/.test(type) ? undefined : `there is no place for a ${type}`,
  run: (one) => expect(decide(one)).toBe(one.expect),
});

function decide(one: StringCase): boolean {
  if (one.type === 'MetadataMatcher') {
    const model = decodeMetadataMatcher(message(matchers.MetadataMatcherSchema, one.matcher), path);
    return compileMetadata(model)(new Map(Object.entries(one.metadata?.filter_metadata ?? {})));
  }
  const own = one.matcher['path'] ?? one.matcher;
  const test = compileString(decodeStringMatcher(message(matchers.StringMatcherSchema, own), path));
  return test(one.type === 'PathMatcher' ? pathOf(one.path ?? '') : (one.value ?? ''));
}

interface HeaderCase {
  readonly test: string;
  readonly src: string;
  readonly op: 'all' | 'any';
  readonly matchers_yaml: readonly string[];
  readonly headers: readonly (readonly [string, string])[];
  readonly individually: boolean;
  readonly expect: boolean;
}

const HEADERS = 'envoy/vectors/header_matchers.json';

vectorSuite({
  file: HEADERS,
  cases: (vectorJson(HEADERS) as { cases: readonly HeaderCase[] } | undefined)?.cases ?? [],
  title: ({ test, src }) => `${test} at ${src}`,
  skip: ({ individually, headers }) =>
    individually || new Set(headers.map(([name]) => name)).size === headers.length
      ? undefined
      : 'joined repeated lines, as Envoy did before 1.39',
  run: ({ op, matchers_yaml, headers, expect: expected }) => {
    const predicates = matchers_yaml.map((yaml) =>
      compileHeaderMatcher(decodeHeaderMatcher(message(routes.HeaderMatcherSchema, parse(yaml)), path)),
    );
    const one = head('/', headers);
    expect(op === 'all' ? predicates.every((test) => test(one)) : predicates.some((test) => test(one))).toBe(expected);
  },
});
