import { MeshError } from '../runtime/errors.js';

const SCHEME = 'spiffe://';
const MAX_ID_BYTES = 2048;
const MAX_TRUST_DOMAIN_BYTES = 255;
const TRUST_DOMAIN = /^[a-z0-9._-]+$/;
const SEGMENT = /^[A-Za-z0-9._-]+$/;

/**
 * The name of a workload (`spiffe://trust-domain/path`); every instance is valid and immutable.
 *
 * SPIFFE-ID §2: no port, user, query, fragment, percent-encoding, empty or dot segment. Upper case in the trust
 * domain is refused instead of folded, so that one workload has one spelling.
 */
export class SpiffeId {
  readonly trustDomain: string;
  /** Empty, or begins with a slash and does not end with one. */
  readonly path: string;
  readonly #uri: string;

  /** Checks both parts; use {@link parseSpiffeId} for text. */
  constructor(trustDomain: string, path: string) {
    const uri = `${SCHEME}${trustDomain}${path}`;
    if (uri.length > MAX_ID_BYTES) throw refused(uri, `is longer than ${MAX_ID_BYTES} bytes`);
    checkTrustDomain(trustDomain, uri);
    if (path !== '') checkPath(path, uri);
    this.trustDomain = trustDomain;
    this.path = path;
    this.#uri = uri;
    Object.freeze(this);
  }

  /** Tells whether both name the same workload. */
  equals(other: SpiffeId): boolean {
    return this.#uri === other.#uri;
  }

  toString(): string {
    return this.#uri;
  }

  toJSON(): string {
    return this.#uri;
  }
}

/** Reads a SPIFFE ID, strictly; anything else is refused with INMESH_SPIFFE_ID. */
export function parseSpiffeId(text: string): SpiffeId {
  if (!text.startsWith(SCHEME)) throw refused(text, 'does not begin with "spiffe://"');
  const rest = text.slice(SCHEME.length);
  const slash = rest.indexOf('/');
  return slash < 0 ? new SpiffeId(rest, '') : new SpiffeId(rest.slice(0, slash), rest.slice(slash));
}

/** Reads a trust domain from its bare name or from any SPIFFE ID in it. */
export function parseTrustDomain(text: string): string {
  if (text.includes('://')) return parseSpiffeId(text).trustDomain;
  checkTrustDomain(text, text);
  return text;
}

/** The identity of a service account in Istio's scheme: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`. */
export function istioId(trustDomain: string, namespace: string, serviceAccount: string): SpiffeId {
  // One segment each: a slash in a name would move the border between namespace and account.
  for (const name of [namespace, serviceAccount]) {
    if (!SEGMENT.test(name)) throw refused(name, 'is not a name of one path segment');
  }
  return new SpiffeId(trustDomain, `/ns/${namespace}/sa/${serviceAccount}`);
}

function checkTrustDomain(name: string, whole: string): void {
  if (name === '') throw refused(whole, 'has no trust domain');
  if (name.length > MAX_TRUST_DOMAIN_BYTES) {
    throw refused(whole, `has a trust domain longer than ${MAX_TRUST_DOMAIN_BYTES} bytes`);
  }
  if (!TRUST_DOMAIN.test(name)) {
    throw refused(whole, 'has a trust domain with a character other than a-z, 0-9, dot, dash and underscore');
  }
}

function checkPath(path: string, whole: string): void {
  if (!path.startsWith('/')) throw refused(whole, 'has a path that does not begin with a slash');
  for (const segment of path.slice(1).split('/')) {
    if (segment === '') throw refused(whole, 'has an empty path segment or a slash at its end');
    if (segment === '.' || segment === '..') throw refused(whole, 'has a dot segment');
    if (!SEGMENT.test(segment)) {
      throw refused(
        whole,
        'has a path with a character other than letters, digits, dot, dash and underscore',
      );
    }
  }
}

function refused(text: string, why: string): MeshError {
  return new MeshError('INMESH_SPIFFE_ID', `${JSON.stringify(text.slice(0, 100))} ${why}`, {
    hint: 'Write it as spiffe://<trust domain>/<path>, for example spiffe://cluster.local/ns/default/sa/reviews',
  });
}
