import type { JwtProvider } from '../../model/jwt-authn.js';
import { type Claims, claimHeader, claimOf, withLists } from '../../routing/token-claims.js';
import { setDynamicMetadata } from '../../service/dynamic-metadata.js';
import type { Request } from '../../service/service.js';
import { JWT_FILTER, JWT_PAYLOAD } from '../compile/jwt-metadata.js';
import { LIST_CLAIMS } from '../compile/request-authentication.js';

/** Envoy: where a token is looked for when nothing says where. */
const BEARER = { name: 'authorization', valuePrefix: 'Bearer ' };

/**
 * Does to a request what the filter of tokens does: headers that it writes are taken off what the caller says, and of a
 * good token the claims go where rules look for them.
 */
export function takeToken(
  request: Request,
  claims: Claims | undefined,
  providers: readonly JwtProvider[],
): void {
  const { headers, context } = request;
  const at =
    claims === undefined ? -1 : providers.findIndex(({ issuer }) => issuer === claimOf(claims, 'iss'));
  const provider = providers[at];
  // Envoy: no further provider is asked once one took the token.
  const asked = provider === undefined ? providers : providers.slice(0, at + 1);
  for (const { forwardPayloadHeader, claimToHeaders } of asked) {
    if (forwardPayloadHeader !== '') headers.delete(forwardPayloadHeader);
    for (const { header } of claimToHeaders) headers.delete(header);
  }
  if (claims === undefined) return;
  if (provider !== undefined) handOn(request, claims, provider);
  const payload = withLists(claims, provider?.spaceDelimitedClaims ?? LIST_CLAIMS);
  setDynamicMetadata(context, JWT_FILTER, { [JWT_PAYLOAD]: payload });
}

function handOn({ headers }: Request, claims: Claims, provider: JwtProvider): void {
  const { claimToHeaders, forwardPayloadHeader, forward, fromHeaders, fromParams, fromCookies } = provider;
  if (forwardPayloadHeader !== '') {
    headers.append(forwardPayloadHeader, Buffer.from(JSON.stringify(claims)).toString('base64url'));
  }
  for (const { header, claim } of claimToHeaders) {
    const text = claimHeader(claims, claim);
    if (text !== '') headers.append(header, text);
  }
  if (forward) return;
  const isDefault = fromHeaders.length + fromParams.length + fromCookies.length === 0;
  for (const { name, valuePrefix } of isDefault ? [BEARER] : fromHeaders) {
    if (headers.getAll(name).join(',').includes(valuePrefix)) headers.delete(name);
  }
}
