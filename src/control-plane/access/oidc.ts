import { readKeys } from '../../identity/jwk-set.js';
import { createJwksCache, type JwksLocation } from '../../identity/jwks-cache.js';
import {
  claimedIssuer,
  TOKEN_ALGORITHMS,
  type TokenClaims,
  type TokenKeys,
  tokenEndMs,
  verifyToken,
} from '../../identity/oidc-token.js';
import { checkedUrl, type WebFetch } from '../../identity/web-fetch.js';
import type { Clock } from '../../runtime/clock.js';
import { MeshError } from '../../runtime/errors.js';
import type { Random } from '../../runtime/random.js';
import type { Authenticator } from '../ca/authenticate.js';
import { bearerToken } from './bearer.js';
import { type ClaimConditions, fulfils, identityTemplate } from './identity-template.js';

/** An OIDC issuer whose tokens tell who a caller is. */
export interface OidcIssuer {
  /** Exactly the `iss` of its tokens. */
  readonly issuer: string;
  /** A token must be for one of these (`aud`). */
  readonly audiences: readonly string[];
  /** Where its keys are. Default: what `<issuer>/.well-known/openid-configuration` says. */
  readonly jwksUri?: string;
  /** Its JWK set, for an issuer that can't be asked. */
  readonly jwks?: string;
  /** PEM of the roots that vouch for its web server; default: the platform's. */
  readonly ca?: string;
  /** Algorithms that are taken. Default: RS, PS and ES with SHA-2, EdDSA; HS never is. */
  readonly algorithms?: readonly string[];
  /** How far clocks may differ, in milliseconds. Default 60 000. */
  readonly skewMs?: number;
  /** Which identity a caller has, by its claims: the first entry that fits. A token that fits none is refused. */
  readonly identities: readonly OidcIdentity[];
}

/** An identity by the claims of a token. */
export interface OidcIdentity {
  /** Claims and what they must be, or contain. Default: nothing. */
  readonly when?: ClaimConditions;
  /** SPIFFE ID; `{claim}` stands for a claim of one path segment, `{object/claim}` for one in an object. */
  readonly id: string;
}

/** What tokens are verified with. */
export interface OidcTools {
  readonly fetch: WebFetch;
  readonly clock: Clock;
  readonly random: Random;
}

/** A token that holds. */
export interface VerifiedToken {
  readonly issuer: string;
  readonly claims: TokenClaims;
  /** Calendar time from which it is not taken any more. */
  readonly expiresAtMs: number;
}

/** Verifies the tokens of configured issuers. */
export interface TokenVerifier {
  /** Undefined when no issuer is configured that the token claims; throws when it does not hold. */
  verify(token: string): Promise<VerifiedToken | undefined>;
  close(): void;
}

/** @throws MeshError `INMESH_OPTION_INVALID` for an issuer that can't be used. */
export function createTokenVerifier(
  issuers: readonly Omit<OidcIssuer, 'identities'>[],
  tools: OidcTools,
): TokenVerifier {
  const known = new Map(
    issuers.map((one) => [one.issuer, { rules: checked(one), keys: keysOf(one, tools) }]),
  );
  return {
    async verify(token) {
      const issuer = claimedIssuer(token);
      const found = issuer === undefined ? undefined : known.get(issuer);
      if (issuer === undefined || found === undefined) return undefined;
      const { rules, keys } = found;
      const claims = await verifyToken(token, rules, { keys, clock: tools.clock });
      return { issuer, claims, expiresAtMs: tokenEndMs(claims, rules) };
    },
    close() {
      for (const { keys } of known.values()) keys.close();
    },
  };
}

/** Recognises callers by the tokens of OIDC issuers. */
export function oidcAuthenticator(
  issuers: readonly OidcIssuer[],
  { verifier, trustDomain }: { readonly verifier: TokenVerifier; readonly trustDomain: string },
): Authenticator {
  const identities = new Map(
    issuers.map(({ issuer, identities: entries }) => [
      issuer,
      entries.map(({ when = {}, id }) => ({ when, template: identityTemplate(id, trustDomain) })),
    ]),
  );
  return async ({ metadata }) => {
    const token = bearerToken(metadata('authorization'));
    const verified = token === undefined ? undefined : await verifier.verify(token);
    if (verified === undefined) return undefined;
    const fitting = identities.get(verified.issuer)?.find(({ when }) => fulfils(verified.claims, when));
    const id = fitting?.template(verified.claims);
    if (id === undefined) throw new TypeError('the claims of the token name no identity');
    return { id, authenticator: 'oidc', expiresAtMs: verified.expiresAtMs };
  };
}

function keysOf(
  { issuer, jwksUri, jwks, ca }: Omit<OidcIssuer, 'identities'>,
  tools: OidcTools,
): TokenKeys & { close(): void } {
  if (jwks !== undefined) {
    const keys = readKeys(jwks);
    if (keys === undefined) throw invalid(issuer, 'its jwks is no JWK set');
    const document = Promise.resolve({ text: jwks, keys });
    return { keys: () => document, keysWith: () => document, close() {} };
  }
  const location: JwksLocation =
    jwksUri === undefined ? { kind: 'issuer', issuer } : { kind: 'uri', uri: jwksUri };
  try {
    checkedUrl(jwksUri ?? issuer);
  } catch (cause) {
    throw invalid(issuer, 'its keys can only be fetched by https', cause);
  }
  return createJwksCache({ location, ca, ...tools });
}

function checked(one: Omit<OidcIssuer, 'identities'>) {
  const { issuer, audiences, algorithms, skewMs } = one;
  if (issuer === '') throw invalid(issuer, 'it has no name');
  // Without an audience a token for any service of the issuer would do here.
  if (audiences.length === 0) throw invalid(issuer, 'it has no audiences');
  const unknown = algorithms?.find((name) => !TOKEN_ALGORITHMS.includes(name));
  if (unknown !== undefined) throw invalid(issuer, `the algorithm ${JSON.stringify(unknown)} is not taken`);
  return { issuer, audiences, algorithms, skewMs };
}

function invalid(issuer: string, what: string, cause?: unknown): MeshError {
  return new MeshError(
    'INMESH_OPTION_INVALID',
    `the OIDC issuer ${JSON.stringify(issuer)} can not be used: ${what}`,
    {
      cause,
    },
  );
}
