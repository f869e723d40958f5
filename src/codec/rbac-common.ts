import { create } from '@bufbuild/protobuf';
import type { RbacPlain } from '../model/rbac.js';
import type { AddressRange } from '../model/value-matcher.js';
import { core, matcher, type route } from '../proto/xds.js';
import { unreachable } from '../runtime/errors.js';
import { parseIp } from '../runtime/ip.js';
import {
  decodeHeaderMatcher,
  decodeStringMatcher,
  encodeHeaderMatcher,
  encodeStringMatcher,
} from './matcher.js';
import { at, type Path, refuse } from './path.js';
import { decodeMetadataMatcher, encodeMetadataMatcher } from './value-matcher.js';

type PlainRule =
  | { case: 'any'; value: boolean }
  | { case: 'header'; value: route.HeaderMatcher }
  | { case: 'urlPath'; value: matcher.PathMatcher }
  | { case: 'metadata'; value: matcher.MetadataMatcher };

/** A rule of these kinds; undefined when it is of none. */
export function decodeCommon(
  rule: PlainRule | { case: string | undefined; value?: unknown },
  path: Path,
): RbacPlain | undefined {
  // The cases name the types of their values.
  const plain = rule as PlainRule;
  switch (plain.case) {
    case 'any':
      // Envoy: `any: false` is no rule.
      return plain.value ? { kind: 'any' } : refuse(at(path, 'any'), 'must be true');
    case 'header':
      return { kind: 'header', matcher: decodeHeaderMatcher(plain.value, at(path, 'header')) };
    case 'urlPath': {
      const where = at(at(path, 'url_path'), 'path');
      if (plain.value.rule.case !== 'path') return refuse(where, 'is required');
      return { kind: 'path', matcher: decodeStringMatcher(plain.value.rule.value, where) };
    }
    case 'metadata':
      return { kind: 'metadata', matcher: decodeMetadataMatcher(plain.value, at(path, 'metadata')) };
    default:
      return undefined;
  }
}

/** The rule as it stands in a message. */
export function encodeCommon(common: RbacPlain): PlainRule {
  switch (common.kind) {
    case 'any':
      return { case: 'any', value: true };
    case 'header':
      return { case: 'header', value: encodeHeaderMatcher(common.matcher) };
    case 'path':
      return {
        case: 'urlPath',
        value: create(matcher.PathMatcherSchema, {
          rule: { case: 'path', value: encodeStringMatcher(common.matcher) },
        }),
      };
    case 'metadata':
      return { case: 'metadata', value: encodeMetadataMatcher(common.matcher) };
    default:
      return unreachable(common);
  }
}

/** A range of addresses. Without a length it is everything (Envoy: an absent prefix length is 0). */
export function decodeRange({ addressPrefix, prefixLen = 0 }: core.CidrRange, path: Path): AddressRange {
  const bytes = parseIp(addressPrefix);
  if (bytes === undefined) return refuse(at(path, 'address_prefix'), 'is no IP address');
  if (prefixLen > bytes.length * 8) refuse(at(path, 'prefix_len'), `must be at most ${bytes.length * 8}`);
  return { address: addressPrefix, bits: prefixLen };
}

/** The range as a message. */
export function encodeRange({ address, bits }: AddressRange): core.CidrRange {
  return create(core.CidrRangeSchema, { addressPrefix: address, prefixLen: bits });
}
