import type { JwtProvider } from '../../model/jwt-authn.js';
import { readCookie } from '../../routing/cookies.js';
import type { Request } from '../../service/service.js';

/** A token that was found in a request. */
export interface FoundToken {
  readonly text: string;
  /** Whether the issuers that may stand at this place include this one. */
  readonly allows: (issuer: string) => boolean;
  /** Takes it out of the request. */
  readonly remove: (request: Request) => void;
}

/** Finds the tokens of some providers. */
export interface Extractor {
  find(request: Request): FoundToken[];
  /** Takes out the headers that this filter writes: a caller must not be able to fake them. */
  sanitize(request: Request): void;
}

interface Place {
  /** Where it comes in the order of places. */
  readonly key: string;
  readonly issuers: Set<string>;
  readonly read: (request: Request) => string | undefined;
  readonly remove: (request: Request) => void;
}

/** The extractor of some providers. Places come in Envoy's order: headers, parameters, cookies, each by name. */
export function createExtractor(providers: readonly JwtProvider[]): Extractor {
  const headers = new Map<string, Place>();
  const params = new Map<string, Place>();
  const cookies = new Map<string, Place>();
  const written = new Set<string>();
  for (const provider of providers) {
    const { issuer, fromHeaders, fromParams, fromCookies, forwardPayloadHeader, claimToHeaders } = provider;
    const isDefault = fromHeaders.length + fromParams.length + fromCookies.length === 0;
    for (const { name, valuePrefix } of isDefault ? [BEARER] : fromHeaders) {
      add(headers, name + valuePrefix, issuer, () => headerPlace(name, valuePrefix));
    }
    for (const name of isDefault ? ['access_token'] : fromParams) {
      add(params, name, issuer, () => paramPlace(name));
    }
    for (const name of fromCookies) add(cookies, name, issuer, () => cookiePlace(name));
    if (forwardPayloadHeader !== '') written.add(forwardPayloadHeader);
    for (const { header } of claimToHeaders) written.add(header);
  }
  const places = [headers, params, cookies].flatMap((map) => [...map.values()].sort(byKey));
  return {
    find: (request) =>
      places.flatMap(({ read, remove, issuers }) => {
        const text = read(request);
        if (text === undefined) return [];
        return [{ text, remove, allows: (issuer) => issuers.has('') || issuers.has(issuer) }];
      }),
    sanitize(request) {
      for (const name of written) request.headers.delete(name);
    },
  };
}

const BEARER = { name: 'authorization', valuePrefix: 'Bearer ' };

function byKey(a: Place, b: Place): number {
  return a.key < b.key ? -1 : 1;
}

function add(
  places: Map<string, Place>,
  key: string,
  issuer: string,
  make: () => Pick<Place, 'read' | 'remove'>,
): void {
  const place = places.get(key) ?? { key, issuers: new Set<string>(), ...make() };
  place.issuers.add(issuer);
  places.set(key, place);
}

function headerPlace(name: string, prefix: string): Pick<Place, 'read' | 'remove'> {
  return {
    read: ({ headers }) => {
      const values = headers.getAll(name);
      if (values.length === 0) return undefined;
      const value = values.join(',');
      if (prefix === '') return value;
      const at = value.indexOf(prefix);
      return at < 0 ? undefined : tokenIn(value, at + prefix.length);
    },
    remove: ({ headers }) => headers.delete(name),
  };
}

/** The first run of characters that a token may have; without any, the value as it is. */
function tokenIn(value: string, from: number): string {
  return /[A-Za-z0-9\-_.]+/.exec(value.slice(from))?.[0] ?? value;
}

function cookiePlace(name: string): Pick<Place, 'read' | 'remove'> {
  return {
    read: ({ headers }) => readCookie(headers, name) || undefined,
    // Envoy leaves cookies as they are.
    remove: () => {},
  };
}

function paramPlace(name: string): Pick<Place, 'read' | 'remove'> {
  return {
    read: ({ path }) => {
      for (const [key, value] of queryOf(path)) if (key === name) return value;
      return undefined;
    },
    remove(request) {
      const at = request.path.indexOf('?');
      const kept = request.path
        .slice(at + 1)
        .split('&')
        .filter((piece) => decode(piece.split('=', 1)[0] ?? '') !== name);
      request.path = request.path.slice(0, at) + (kept.length === 0 ? '' : `?${kept.join('&')}`);
    },
  };
}

function* queryOf(path: string): Generator<[string, string]> {
  const at = path.indexOf('?');
  if (at < 0) return;
  for (const piece of path.slice(at + 1).split('&')) {
    const equals = piece.indexOf('=');
    if (equals < 0) yield [decode(piece), ''];
    else yield [decode(piece.slice(0, equals)), decode(piece.slice(equals + 1))];
  }
}

/** Percent-decoding that leaves alone what can't be decoded. */
function decode(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
