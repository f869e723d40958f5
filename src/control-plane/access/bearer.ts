import { MAX_TOKEN_BYTES } from '../../identity/oidc-token.js';

/** The token of an `authorization: Bearer …`; undefined when there is none, or something else. */
export function bearerToken(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > MAX_TOKEN_BYTES + 16) return undefined;
  return /^Bearer +([\x21-\x7e]+)$/i.exec(authorization)?.[1];
}
