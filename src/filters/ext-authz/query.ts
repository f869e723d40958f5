import type { HeaderLine } from './decision.js';

/** What may stand in the name or the value of a query parameter: unreserved characters and escapes (RFC 3986). */
const ENCODED = /^(?:[\w.~*-]|%[0-9a-f]{2}|\+)*$/i;

/** Whether a text of the service can stand in a query as it is. */
export function isEncoded(text: string): boolean {
  return ENCODED.test(text);
}

/** A path with some query parameters replaced by one of the name, or added, and then others removed. */
export function changeQuery(path: string, set: readonly HeaderLine[], remove: readonly string[]): string {
  const at = path.indexOf('?');
  const bare = at < 0 ? path : path.slice(0, at);
  let pairs = at < 0 ? [] : path.slice(at + 1).split('&');
  for (const [key, value] of set) pairs = replace(pairs, legal(key), legal(value));
  const removed = new Set(remove.map(legal));
  const left = pairs.filter((pair) => pair !== '' && !removed.has(keyOf(pair)));
  return left.length === 0 ? bare : `${bare}?${left.join('&')}`;
}

function keyOf(pair: string): string {
  const at = pair.indexOf('=');
  return at < 0 ? pair : pair.slice(0, at);
}

function replace(pairs: readonly string[], key: string, value: string): string[] {
  const first = pairs.findIndex((pair) => keyOf(pair) === key);
  const others = pairs.filter((pair, index) => index === first || keyOf(pair) !== key);
  const pair = `${key}=${value}`;
  return first < 0 ? [...others, pair] : others.map((one, index) => (index === first ? pair : one));
}

/** Characters that can't stand in a path are escaped; everything else is the service's business, as in Envoy. */
function legal(text: string): string {
  return text.replaceAll(ILLEGAL, (one) => encodeURIComponent(Buffer.from(one).toString()));
}

const ILLEGAL = /[^!-~]+|[#"<>]/g;
