import { parseSpiffeId, SpiffeId } from '../../identity/spiffe-id.js';
import { MeshError } from '../../runtime/errors.js';

/** Makes an identity from the claims of a token; undefined when a claim is missing or is no single path segment. */
export type IdentityTemplate = (claims: Readonly<Record<string, unknown>>) => SpiffeId | undefined;

const PLACE = /\{([^{}]+)\}/g;
const SEGMENT = /^[A-Za-z0-9._-]+$/;
/** Stands in for claims while the rest of a template is checked. */
const EXAMPLE = 'x';

/**
 * Reads a template such as `spiffe://cluster.local/ns/{kubernetes.io/namespace}/sa/{sub}`. A place names a claim; a slash
 * goes into an object (`~1` is a slash in a name, `~0` a tilde, as in JSON Pointer). What a claim holds can't add path
 * segments, and never names the trust domain.
 * @throws MeshError `INMESH_OPTION_INVALID`.
 */
export function identityTemplate(text: string, trustDomain: string): IdentityTemplate {
  const example = text.replaceAll(PLACE, EXAMPLE);
  const prefix = `spiffe://${trustDomain}/`;
  if (!text.startsWith(prefix) || !isId(example)) {
    throw new MeshError(
      'INMESH_OPTION_INVALID',
      `the identity ${JSON.stringify(text)} is no SPIFFE ID of trust domain ${trustDomain}`,
      { hint: 'For example spiffe://cluster.local/ns/{namespace}/sa/{sub}' },
    );
  }
  const path = text.slice(prefix.length - 1);
  return (claims) => {
    let isWhole = true;
    const filled = path.replaceAll(PLACE, (_, pointer: string) => {
      const value = claimAt(claims, pointer);
      if (typeof value === 'string' && SEGMENT.test(value)) return value;
      isWhole = false;
      return EXAMPLE;
    });
    if (!isWhole) return undefined;
    try {
      return new SpiffeId(trustDomain, filled);
    } catch {
      // A segment such as `..`.
      return undefined;
    }
  };
}

/** The claim that a pointer names; undefined when there is none. */
export function claimAt(claims: unknown, pointer: string): unknown {
  let value = claims;
  for (const part of pointer.split('/')) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

/** Values that claims must have: the text, or one of several; a list in the token must contain it. */
export type ClaimConditions = Readonly<Record<string, string | readonly string[]>>;

/** Whether a token's claims fulfil all conditions. */
export function fulfils(claims: unknown, conditions: ClaimConditions): boolean {
  return Object.entries(conditions).every(([pointer, wanted]) => {
    const value = claimAt(claims, pointer);
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    const allowed = typeof wanted === 'string' ? [wanted] : wanted;
    return values.some((one) => typeof one === 'string' && allowed.includes(one));
  });
}

function isId(text: string): boolean {
  try {
    return parseSpiffeId(text).path !== '';
  } catch {
    return false;
  }
}
