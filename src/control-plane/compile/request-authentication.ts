import type { JwtAuthnConfig, JwtProvider, JwtRequirement } from '../../model/jwt-authn.js';
import type { JwtRule } from '../kinds/types.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { IssuerKeys } from './issuer-keys.js';
import { JWT_FILTER, JWT_PAYLOAD } from './jwt-metadata.js';
import { type PolicySubject, policiesFor } from './policy-scope.js';
import { MATCH_ALL } from './route-match.js';

/** Istio: these claims hold several values with spaces between them. */
export const LIST_CLAIMS: readonly string[] = ['permission', 'scope'];
/** Envoy's default. */
const CLOCK_SKEW_SECONDS = 60;

export interface AuthenticationTools {
  readonly config: MeshConfig;
  readonly keys: IssuerKeys;
  /** Istio: at gateways, where routes may depend on claims. */
  readonly clearRouteCache: boolean;
}

/** The filter that checks the tokens of requests to a workload; undefined when nothing says how. */
export function jwtFilter(
  view: ConfigView,
  subject: PolicySubject,
  tools: AuthenticationTools,
): { readonly name: string; readonly config: JwtAuthnConfig } | undefined {
  const { rootNamespace } = tools.config;
  const policies = policiesFor(view.list('RequestAuthentication'), subject, { view, rootNamespace });
  const rules = policies.flatMap(({ spec }) => spec.jwtRules ?? []);
  if (rules.length === 0) return undefined;
  // Istio: by issuer, so that the order of documents makes no difference.
  const sorted = rules.toSorted((a, b) => compare(a.issuer ?? '', b.issuer ?? ''));
  return { name: JWT_FILTER, config: jwtAuthn(sorted, tools) };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function jwtAuthn(rules: readonly JwtRule[], tools: AuthenticationTools): JwtAuthnConfig {
  const names = rules.map((_, index) => `origins-${index}`);
  return {
    kind: 'jwt-authn',
    providers: new Map(rules.map((rule, index) => [`origins-${index}`, provider(rule, tools)])),
    rules: [{ match: MATCH_ALL, requires: requirement(names) }],
    filterStateRules: undefined,
    bypassCorsPreflight: true,
    requirementMap: new Map(),
    stripFailureResponse: false,
  };
}

/**
 * Istio: whoever has a token must have a good one, whoever has none is let through. Of several issuers each may stand
 * alone, because where they share a place the token of one is a bad one to the others.
 */
function requirement(names: readonly string[]): JwtRequirement {
  const needed = names.map((name): JwtRequirement => ({ kind: 'provider', name, audiences: [] }));
  const optional = needed.map(
    (one): JwtRequirement => ({
      kind: 'any',
      requirements: [one, { kind: 'allow-missing' }],
    }),
  );
  const [first, second] = optional;
  if (first !== undefined && second === undefined) return first;
  return { kind: 'any', requirements: [...needed, { kind: 'all', requirements: optional }] };
}

function provider(rule: JwtRule, { keys, clearRouteCache }: AuthenticationTools): JwtProvider {
  return {
    issuer: rule.issuer ?? '',
    audiences: rule.audiences ?? [],
    subjects: undefined,
    requireExpiration: false,
    maxLifetimeMs: undefined,
    jwks: { kind: 'local', text: keys.keysOf(rule) },
    clearRouteCache: clearRouteCache || undefined,
    forward: rule.forwardOriginalToken ?? false,
    fromHeaders: (rule.fromHeaders ?? []).map(({ name, prefix = '' }) => ({
      name: name.toLowerCase(),
      valuePrefix: prefix,
    })),
    fromParams: rule.fromParams ?? [],
    fromCookies: rule.fromCookies ?? [],
    forwardPayloadHeader: (rule.outputPayloadToHeader ?? '').toLowerCase(),
    padForwardPayloadHeader: false,
    payloadInMetadata: JWT_PAYLOAD,
    headerInMetadata: '',
    failedStatusInMetadata: '',
    spaceDelimitedClaims: [...new Set([...LIST_CLAIMS, ...(rule.spaceDelimitedClaims ?? [])])].sort(),
    clockSkewSeconds: CLOCK_SKEW_SECONDS,
    cacheSize: undefined,
    claimToHeaders: (rule.outputClaimToHeaders ?? []).map(({ header, claim }) => ({
      header: header.toLowerCase(),
      claim,
    })),
  };
}
