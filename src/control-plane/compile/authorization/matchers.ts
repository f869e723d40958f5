import { isIP } from 'node:net';
import type { HeaderMatcher, StringMatcher } from '../../../model/matcher.js';
import type { AddressRange, MetadataMatcher, ValueMatcher } from '../../../model/value-matcher.js';
import { JWT_FILTER, JWT_PAYLOAD } from '../jwt-metadata.js';

/** What is there, whatever it is. */
export const ANY_TEXT: StringMatcher = { kind: 'regex', pattern: '.+' };

/** A text of a policy as a pattern: exact, `prefix*`, `*suffix`, or `*` for what is there. */
export function textMatcher(value: string, ignoreCase = false): StringMatcher {
  if (value === '*') return ANY_TEXT;
  if (value.startsWith('*')) return { kind: 'suffix', value: value.slice(1), ignoreCase };
  if (value.endsWith('*')) return { kind: 'prefix', value: value.slice(0, -1), ignoreCase };
  return exactly(value, ignoreCase);
}

/** Nothing but the text. */
export function exactly(value: string, ignoreCase = false): StringMatcher {
  return { kind: 'exact', value, ignoreCase };
}

/** A text that stands for itself in a regular expression of RE2 (Go: QuoteMeta). */
export function quoted(text: string): string {
  return text.replaceAll(/[\\.+*?()|[\]{}^$]/g, String.raw`\$&`);
}

/** A header by the pattern of a policy; `*` is presence. The name stands as the policy has it: Envoy lower-cases it. */
export function headerMatcher(name: string, value: string, ignoreCase = false): HeaderMatcher {
  const matcher = textMatcher(value, ignoreCase);
  const match: HeaderMatcher['match'] =
    value === '*' ? { kind: 'present', present: true } : { kind: 'string', matcher };
  return { name, match, invert: false, treatMissingAsEmpty: false };
}

/** One of several values that stand in one header, with commas between them (RFC 9110, 5.3). */
export function listedHeaderMatcher(name: string, value: string): HeaderMatcher {
  if (value === '*') return headerMatcher(name, value);
  const text = value.startsWith('*')
    ? `.*${quoted(value.slice(1))}`
    : value.endsWith('*')
      ? `${quoted(value.slice(0, -1))}.*`
      : quoted(value);
  const pattern = `^${text}$|^${text},.*|.*,${text},.*|.*,${text}$`;
  const match: HeaderMatcher['match'] = { kind: 'string', matcher: { kind: 'regex', pattern } };
  return { name, match, invert: false, treatMissingAsEmpty: false };
}

/** An address, or a range of them. */
export function rangeOf(text: string): AddressRange {
  const [address = '', bits] = text.split('/');
  return { address, bits: bits === undefined ? (isIP(address) === 4 ? 32 : 128) : Number(bits) };
}

/** A claim of a verified token. */
export function claimMatcher(names: readonly string[], value: ValueMatcher): MetadataMatcher {
  return { namespace: JWT_FILTER, path: [JWT_PAYLOAD, ...names], value, invert: false };
}

/** One of the patterns matches a claim, or a member of the list that the claim is. */
export function anyOfClaim(names: readonly string[], values: readonly string[]): MetadataMatcher {
  const one = anyOf(values.map((value) => ({ kind: 'string', matcher: textMatcher(value) })));
  return claimMatcher(names, { kind: 'or', matchers: [{ kind: 'one-of', matcher: one }, one] });
}

/** One of the matchers; a single one stands alone: Envoy wants at least two. */
export function anyOf(matchers: readonly ValueMatcher[]): ValueMatcher {
  const [first] = matchers;
  return first !== undefined && matchers.length === 1 ? first : { kind: 'or', matchers };
}
