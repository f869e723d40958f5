import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';
import type { JwtAuthnConfig, JwtProvider, JwtRequirement, JwtRule } from '../../../src/model/jwt-authn.js';

export const NOW_SECONDS = 1_700_000_000;
export const ISSUER = 'https://issuer.example';

/** A key pair and its public half as it stands in a set. */
export interface Issuer {
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
  readonly algorithm: string;
}

export async function createIssuer(algorithm = 'ES256', kid = 'k1'): Promise<Issuer> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: algorithm }, algorithm };
}

export const setOf = (...keys: readonly JWK[]): string => JSON.stringify({ keys });

export function sign(issuer: Issuer, claims: JWTPayload = {}, header: Record<string, unknown> = {}) {
  return new SignJWT({ iss: ISSUER, sub: 'alice', aud: 'shop', exp: NOW_SECONDS + 600, ...claims })
    .setProtectedHeader({ alg: issuer.algorithm, kid: issuer.jwk.kid ?? '', ...header })
    .sign(issuer.privateKey);
}

export function providerOf(text: string, change: Partial<JwtProvider> = {}): JwtProvider {
  return {
    issuer: ISSUER,
    audiences: [],
    subjects: undefined,
    requireExpiration: false,
    maxLifetimeMs: undefined,
    jwks: { kind: 'local', text },
    forward: false,
    fromHeaders: [],
    fromParams: [],
    fromCookies: [],
    forwardPayloadHeader: '',
    padForwardPayloadHeader: false,
    payloadInMetadata: '',
    headerInMetadata: '',
    failedStatusInMetadata: '',
    spaceDelimitedClaims: [],
    clockSkewSeconds: 60,
    cacheSize: undefined,
    claimToHeaders: [],
    ...change,
  };
}

export const ruleOf = (requires: JwtRule['requires'], prefix = '/'): JwtRule => ({
  match: {
    path: { kind: 'prefix', value: prefix, caseSensitive: true },
    headers: [],
    queryParameters: [],
    runtimeFraction: undefined,
    grpcOnly: false,
  },
  requires,
});

export const needs = (name: string, ...audiences: readonly string[]): JwtRequirement => ({
  kind: 'provider',
  name,
  audiences,
});

export function configOf(
  providers: Readonly<Record<string, JwtProvider>>,
  change: Partial<JwtAuthnConfig> = {},
): JwtAuthnConfig {
  return {
    kind: 'jwt-authn',
    providers: new Map(Object.entries(providers)),
    rules: [ruleOf(needs('p'))],
    filterStateRules: undefined,
    bypassCorsPreflight: false,
    requirementMap: new Map(),
    stripFailureResponse: false,
    ...change,
  };
}
