import type { JwtProvider } from '../../model/jwt-authn.js';
import type { HeaderMap } from '../../service/headers.js';
import type { Request } from '../../service/service.js';
import { clearRouteCache } from '../route-cache.js';
import type { FoundToken } from './extract.js';
import { type Claims, claimOf, type Token } from './token.js';

/** What the filter leaves in dynamic metadata. */
export type Extracted = Record<string, unknown>;

/** Hands a verified token on: in headers, in metadata, and out of its place. */
export function forwardToken(
  request: Request,
  provider: JwtProvider,
  token: Token,
  found: FoundToken,
  extracted: Extracted,
): void {
  const { headers } = request;
  const { forwardPayloadHeader, payloadInMetadata, headerInMetadata } = provider;
  if (forwardPayloadHeader !== '') {
    headers.append(forwardPayloadHeader, payloadText(token, provider.padForwardPayloadHeader));
  }
  let hasClaims = false;
  for (const { claim, header } of provider.claimToHeaders) {
    if (forwardClaim(headers, header, nestedClaim(token.payload, claim))) hasClaims = true;
  }
  // Envoy: what else is handed on leads nowhere.
  if (provider.clearRouteCache === true && (hasClaims || payloadInMetadata !== '')) clearRouteCache(request);
  if (!provider.forward) found.remove(request);
  if (headerInMetadata !== '') extracted[headerInMetadata] = token.header;
  if (payloadInMetadata !== '') {
    extracted[payloadInMetadata] = withLists(token.payload, provider.spaceDelimitedClaims);
  }
}

function payloadText({ payloadText: text }: Token, isPadded: boolean): string {
  return isPadded ? text + '='.repeat((4 - (text.length % 4)) % 4) : text;
}

/** `a.b` is the member `b` of the object `a`. */
function nestedClaim(payload: Claims, name: string): unknown {
  let value: unknown = payload;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    value = claimOf(value as Claims, part);
  }
  return value;
}

/** False when there is nothing to hand on. */
function forwardClaim(headers: HeaderMap, name: string, claim: unknown): boolean {
  const text = claimText(claim);
  // What an issuer let a user put into a claim must not break the header block.
  if (text === '' || /[\0\r\n]/.test(text)) return false;
  // Header values are bytes.
  headers.append(name, Buffer.from(text).toString('latin1'));
  return true;
}

function claimText(claim: unknown): string {
  switch (typeof claim) {
    case 'string':
      return claim;
    case 'boolean':
      return String(claim);
    case 'number':
      // Envoy: whole numbers that are not negative as such, others with six digits.
      return Number.isInteger(claim) && claim >= 0 && claim < 2 ** 64
        ? BigInt(claim).toString()
        : claim.toFixed(6);
    default:
      return typeof claim === 'object' && claim !== null
        ? Buffer.from(JSON.stringify(claim)).toString('base64')
        : '';
  }
}

function withLists(payload: Claims, claims: readonly string[]): Claims {
  const lists = claims.flatMap((name) => {
    const value = claimOf(payload, name);
    return typeof value === 'string' ? [[name, value.split(' ').filter((one) => one !== '')]] : [];
  });
  return lists.length === 0 ? payload : { ...payload, ...Object.fromEntries(lists) };
}
