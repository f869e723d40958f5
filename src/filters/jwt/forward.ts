import type { JwtProvider } from '../../model/jwt-authn.js';
import { claimHeader, withLists } from '../../routing/token-claims.js';
import type { Request } from '../../service/service.js';
import { clearRouteCache } from '../route-cache.js';
import type { FoundToken } from './extract.js';
import type { Token } from './token.js';

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
    const text = claimHeader(token.payload, claim);
    if (text === '') continue;
    headers.append(header, text);
    hasClaims = true;
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
