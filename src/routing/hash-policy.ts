import type { HashCookie, HashPolicy, HashSource } from '../model/hash-policy.js';
import { unreachable } from '../runtime/errors.js';
import { xxHash64, xxHash64OfHeader } from '../runtime/hash.js';
import { findCookie, setCookieValue } from '../service/cookie.js';
import type { Request } from '../service/service.js';
import { findQueryParameter, headerReader } from './match.js';
import { compileSubstitution } from './substitute.js';

/** The hash that a request is placed by; undefined when nothing in it is to be hashed. */
export type RequestHash = (request: Request) => bigint | undefined;

/** A value of filter state that knows its hash. */
export interface Hashable {
  /** 64 bits, unsigned. */
  hash(): bigint | undefined;
}

interface CompiledPolicy {
  readonly hash: RequestHash;
  readonly terminal: boolean;
}

/**
 * Compiles the hash policies of a route; undefined when it has none. A request of this process itself comes from
 * `sourceAddress`.
 */
export function compileHashPolicies(
  policies: readonly HashPolicy[],
  sourceAddress: string,
): RequestHash | undefined {
  if (policies.length === 0) return undefined;
  const compiled = policies.map(
    ({ source, terminal }): CompiledPolicy => ({ hash: compileSource(source, sourceAddress), terminal }),
  );
  const [only] = compiled;
  return only !== undefined && compiled.length === 1 ? only.hash : combine(compiled);
}

/** Envoy: the hash so far is rotated by one bit, so that equal values do not cancel each other out. */
function combine(policies: readonly CompiledPolicy[]): RequestHash {
  return (request) => {
    let hash: bigint | undefined;
    for (const policy of policies) {
      const next = policy.hash(request);
      if (next !== undefined) hash = hash === undefined ? next : rotateLeft(hash) ^ next;
      if (policy.terminal && hash !== undefined) break;
    }
    return hash;
  };
}

function rotateLeft(hash: bigint): bigint {
  return BigInt.asUintN(64, hash << 1n) | (hash >> 63n);
}

/** gRFC A42: calls of one channel go together. */
const CHANNEL_ID = 'io.grpc.channel_id';

function compileSource(source: HashSource, sourceAddress: string): RequestHash {
  switch (source.kind) {
    case 'header':
      return headerHash(source);
    case 'cookie':
      return (request) => cookieHash(source, request);
    case 'source-ip':
      return ({ context }) => xxHash64(context.connection?.remote?.address ?? sourceAddress);
    case 'query-parameter':
      return ({ path }) => {
        const value = findQueryParameter(path, source.name);
        return value === undefined ? undefined : xxHash64OfHeader(value);
      };
    case 'filter-state':
      if (source.key === CHANNEL_ID) return ({ context }) => stateHash(context.channelId);
      return ({ context }) => stateHash(context.filterState?.get(source.key));
    default:
      return unreachable(source);
  }
}

/** Envoy: the values in order of their bytes, so that the order of the lines does not matter; each seeds the next. */
function headerHash({ name, rewrite }: Extract<HashSource, { kind: 'header' }>): RequestHash {
  const substitute = rewrite && compileSubstitution(rewrite);
  const read = headerReader(name);
  return (request) => {
    const values = read(request);
    const [first] = values;
    if (first === undefined) return undefined;
    if (values.length === 1) return xxHash64OfHeader(substitute === undefined ? first : substitute(first));
    const all = substitute === undefined ? [...values] : values.map(substitute);
    // The characters of header values are bytes, so comparing UTF-16 units compares bytes.
    all.sort((a, b) => (a < b ? -1 : Number(a > b)));
    return all.reduce((seed, value) => xxHash64OfHeader(value, seed), 0n);
  };
}

/** Envoy: who has no cookie is given one, if it has a time to live, and is placed by that one. */
function cookieHash(cookie: HashCookie, request: Request): bigint | undefined {
  const value = findCookie(request.headers, cookie.name);
  if (value !== undefined && value !== '') return xxHash64OfHeader(value);
  if (cookie.ttlSeconds === undefined) return undefined;
  return xxHash64(givenCookie(cookie, cookie.ttlSeconds, request));
}

/** The value of the cookie that this request is given: the same for all its attempts. */
function givenCookie(
  { name, path, attributes }: HashCookie,
  maxAgeSeconds: number,
  request: Request,
): string {
  const { context } = request;
  const known = context.setCookies?.find((one) => one.name === name);
  if (known !== undefined) return known.value;
  const value = xxHash64(sourceText(request)).toString(16).padStart(16, '0');
  const line = setCookieValue(name, value, { maxAgeSeconds, path, attributes });
  context.setCookies ??= [];
  context.setCookies.push({ name, value, line });
  return value;
}

/**
 * Envoy: both ends of the caller's connection, so that all its requests are given the same cookie. Requests of this
 * process itself come on no connection: each stands for a session of its own.
 */
function sourceText({ context: { connection, random } }: Request): string {
  const { remote, local } = connection ?? {};
  if (remote === undefined || local === undefined) return String(random);
  return textOf(remote) + textOf(local);
}

function textOf({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function stateHash(value: unknown): bigint | undefined {
  if (typeof value === 'string') return xxHash64(value);
  return isHashable(value) ? value.hash() : undefined;
}

function isHashable(value: unknown): value is Hashable {
  return typeof value === 'object' && value !== null && 'hash' in value && typeof value.hash === 'function';
}
