import type { MatchTree } from './match-tree.js';
import type { HeaderMatcher, StringMatcher } from './matcher.js';
import type { AddressRange, FilterStateMatcher, MetadataMatcher } from './value-matcher.js';

/** Envoy RBAC filter. */
export interface RbacConfig {
  readonly kind: 'rbac';
  /** Undefined lets everything through. */
  readonly rules: RbacRules | undefined;
  /** Decided and recorded, not enforced. */
  readonly shadowRules: RbacRules | undefined;
  /** Stands in the place of `rules`: what finds no action is denied. Default none. */
  readonly matcher?: MatchTree<RbacAction> | undefined;
  /** The same for `shadowRules`. */
  readonly shadowMatcher?: MatchTree<RbacAction> | undefined;
  /** Stands before the names of figures and metadata of `rules`. Default empty. */
  readonly rulesStatPrefix: string;
  /** The same for `shadowRules`. */
  readonly shadowRulesStatPrefix: string;
  /** Counts each policy, too. Default false. */
  readonly trackPerRuleStats: boolean;
}

/** The filter's configuration of a route, virtual host or weighted cluster; it replaces the filter's own. */
export interface RbacRouteConfig {
  readonly kind: 'rbac-route';
  /** Undefined: no filter there. */
  readonly rbac: RbacConfig | undefined;
}

/** What a match tree of RBAC leads to (Envoy RBAC Action). */
export interface RbacAction {
  readonly name: string;
  readonly action: 'allow' | 'deny' | 'log';
}

/** Envoy RBAC. */
export interface RbacRules {
  /** `allow`: what matches a policy passes; `deny`: what matches none; `log`: everything, marked for logs. */
  readonly action: 'allow' | 'deny' | 'log';
  /** In order of their names; the first that matches counts. */
  readonly policies: readonly RbacPolicy[];
}

/** Matches when one of its permissions and one of its principals do. */
export interface RbacPolicy {
  readonly name: string;
  readonly permissions: readonly RbacPermission[];
  readonly principals: readonly RbacPrincipal[];
}

/** What permissions and principals both can be. */
export type RbacPlain =
  | { readonly kind: 'any' }
  | { readonly kind: 'header'; readonly matcher: HeaderMatcher }
  /** The path without its query. */
  | { readonly kind: 'path'; readonly matcher: StringMatcher }
  | { readonly kind: 'metadata'; readonly matcher: MetadataMatcher };

/** What is asked for. */
export type RbacPermission =
  | RbacPlain
  | { readonly kind: 'and' | 'or'; readonly of: readonly RbacPermission[] }
  | { readonly kind: 'not'; readonly of: RbacPermission }
  | { readonly kind: 'destination-ip'; readonly range: AddressRange }
  /** A port in [start, end). */
  | { readonly kind: 'destination-port'; readonly start: number; readonly end: number }
  /** The SNI that the client asked for; empty without TLS. */
  | { readonly kind: 'server-name'; readonly matcher: StringMatcher }
  /** The path matches a URI template. */
  | { readonly kind: 'template'; readonly template: string };

/** Who asks. */
export type RbacPrincipal =
  | RbacPlain
  | { readonly kind: 'and' | 'or'; readonly of: readonly RbacPrincipal[] }
  | { readonly kind: 'not'; readonly of: RbacPrincipal }
  /** The connection is TLS; with a matcher, a URI or DNS name of the certificate or its subject matches. */
  | { readonly kind: 'authenticated'; readonly name: StringMatcher | undefined }
  /** `source` and `direct`: the peer of the connection; `remote`: the client that trusted proxies name. */
  | { readonly kind: 'ip'; readonly of: 'source' | 'direct' | 'remote'; readonly range: AddressRange }
  | { readonly kind: 'filter-state'; readonly matcher: FilterStateMatcher };
