import type { HttpUri } from './http-uri.js';
import type { StringMatcher } from './matcher.js';
import type { RouteMatch } from './route-match.js';

/** Where the keys of an issuer come from. */
export type JwksSource =
  | {
      readonly kind: 'local';
      /** A JWK set as JSON; read from its file or environment variable when the configuration came. */
      readonly text: string;
    }
  | {
      readonly kind: 'remote';
      readonly uri: HttpUri;
      /** Default 10 minutes. */
      readonly cacheDurationMs: number;
      /** Fetched ahead of requests; undefined = when a request needs them. */
      readonly asyncFetch: { readonly fastListener: boolean; readonly failedRefetchMs: number } | undefined;
      /** Undefined = a failed fetch is not retried. */
      readonly retry: JwksRetry | undefined;
    };

/** Retries of a fetch. */
export interface JwksRetry {
  /** Default 1. */
  readonly numRetries: number;
  /** Default 1 s. */
  readonly baseIntervalMs: number;
  /** Default 10 times the base. */
  readonly maxIntervalMs: number;
}

/** Envoy JwtProvider: whose tokens are taken, where they are looked for, and what becomes of them. */
export interface JwtProvider {
  /** Empty = any. */
  readonly issuer: string;
  /** Empty = any. */
  readonly audiences: readonly string[];
  /** What the `sub` claim must be; undefined = anything. */
  readonly subjects: StringMatcher | undefined;
  /** Tokens must expire. */
  readonly requireExpiration: boolean;
  /** How far in the future the expiration may be; undefined = any. */
  readonly maxLifetimeMs: number | undefined;
  readonly jwks: JwksSource;
  /** The route is chosen anew when claims went into headers, or the payload into metadata. Default false. */
  readonly clearRouteCache?: true | undefined;
  /** Leaves the token in the request. */
  readonly forward: boolean;
  /** Without any place here or below: `Authorization: Bearer` and the query parameter `access_token`. */
  readonly fromHeaders: readonly { readonly name: string; readonly valuePrefix: string }[];
  readonly fromParams: readonly string[];
  readonly fromCookies: readonly string[];
  /** Header that carries the payload on; empty = none. */
  readonly forwardPayloadHeader: string;
  readonly padForwardPayloadHeader: boolean;
  /** Keys of the filter's dynamic metadata; empty = not written. */
  readonly payloadInMetadata: string;
  readonly headerInMetadata: string;
  readonly failedStatusInMetadata: string;
  /** Claims that become lists in the metadata. */
  readonly spaceDelimitedClaims: readonly string[];
  /** Default 60. */
  readonly clockSkewSeconds: number;
  /** Verified tokens that are remembered; undefined = none. */
  readonly cacheSize: number | undefined;
  /** Claims that are sent on in headers; nested claims are named with dots. */
  readonly claimToHeaders: readonly { readonly header: string; readonly claim: string }[];
}

/** What a request needs (Envoy JwtRequirement). */
export type JwtRequirement =
  | {
      readonly kind: 'provider';
      readonly name: string;
      /** Instead of the provider's own; empty = the provider's own. */
      readonly audiences: readonly string[];
    }
  | { readonly kind: 'any' | 'all'; readonly requirements: readonly JwtRequirement[] }
  | { readonly kind: 'allow-missing' }
  | { readonly kind: 'allow-missing-or-failed' }
  /** Nothing is needed. */
  | { readonly kind: 'none' };

/** Requests that match need what is required; undefined = nothing. */
export interface JwtRule {
  readonly match: RouteMatch;
  readonly requires: JwtRequirement | { readonly kind: 'named'; readonly name: string } | undefined;
}

/** Envoy `envoy.filters.http.jwt_authn`. */
export interface JwtAuthnConfig {
  readonly kind: 'jwt-authn';
  readonly providers: ReadonlyMap<string, JwtProvider>;
  /** The first that matches counts. */
  readonly rules: readonly JwtRule[];
  /** By the text of a filter state object, for requests that match no rule. */
  readonly filterStateRules:
    | { readonly name: string; readonly requires: ReadonlyMap<string, JwtRequirement> }
    | undefined;
  readonly bypassCorsPreflight: boolean;
  /** Requirements that routes and rules refer to. */
  readonly requirementMap: ReadonlyMap<string, JwtRequirement>;
  /** A refusal says nothing but its status. */
  readonly stripFailureResponse: boolean;
}

/** What a route needs instead. */
export interface JwtAuthnRouteConfig {
  readonly kind: 'jwt-authn-route';
  /** Name of a requirement; undefined = nothing. */
  readonly requirementName: string | undefined;
}
