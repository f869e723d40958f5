import type { StringMatcher } from '../../../model/matcher.js';
import type { RbacPrincipal } from '../../../model/rbac.js';
import type { AuthorizationRule, AuthorizationSource } from '../../kinds/types.js';
import type { Condition } from './conditions.js';
import {
  ANY_TEXT,
  anyOfClaim,
  claimMatcher,
  exactly,
  headerMatcher,
  listedHeaderMatcher,
  quoted,
  rangeOf,
  textMatcher,
} from './matchers.js';
import { isGiven, lists } from './permissions.js';
import { domainsWithAliases, type TrustDomains, withAliases } from './trust-domains.js';

type When = NonNullable<AuthorizationRule['when']>[number];
type PrincipalCondition = Condition<RbacPrincipal>;

/** What the names of a policy are relative to. */
export interface PrincipalScope {
  /** Of the policy: that of service accounts without one. */
  readonly namespace: string;
  readonly trustDomains: TrustDomains;
}

const SPIFFE = 'spiffe://';
const HEADERS = 'request.headers';
const LISTED_HEADERS = 'request.experimental.inline.headers';
const CLAIMS = 'request.auth.claims';
const RESERVED = /^request\.(?:experimental\.inline\.)?headers\[(?:grpc-[^[\]]*|:scheme)\]$/i;

/** The conditions of a source; the order is Istio's. */
export function sourceConditions(
  source: AuthorizationSource | undefined,
  scope: PrincipalScope,
): readonly PrincipalCondition[] {
  if (source === undefined) return [];
  const all: readonly PrincipalCondition[] = [
    peer(source.principals, source.notPrincipals, scope),
    {
      ...lists(source.requestPrincipals, source.notRequestPrincipals),
      needs: 'jwt',
      match: requestPrincipals,
    },
    account(source.serviceAccounts, source.notServiceAccounts, scope),
    trustDomain(source.trustDomains, source.notTrustDomains, scope),
    namespace(source.namespaces, source.notNamespaces),
    address('remote', source.remoteIpBlocks, source.notRemoteIpBlocks),
    address('direct', source.ipBlocks, source.notIpBlocks),
  ];
  return all.filter(isGiven);
}

/** A condition of `when` that is about who asks; undefined when it is about what is asked for. */
export function whenPrincipal(
  { key, values, notValues }: When,
  scope: PrincipalScope,
): PrincipalCondition | undefined {
  switch (key) {
    case 'source.ip':
      return address('direct', values, notValues);
    case 'remote.ip':
      return address('remote', values, notValues);
    case 'source.namespace':
      return namespace(values, notValues);
    case 'source.serviceAccount':
      return account(values, notValues, scope);
    case 'source.trustDomain':
      return trustDomain(values, notValues, scope);
    case 'source.principal':
      return peer(values, notValues, scope);
    case 'request.auth.principal':
      return { ...lists(values, notValues), needs: 'jwt', match: requestPrincipals };
    case 'request.auth.audiences':
      return claim(['aud'], values, notValues);
    case 'request.auth.presenter':
      return claim(['azp'], values, notValues);
    default:
      return keyedPrincipal(key, lists(values, notValues));
  }
}

function keyedPrincipal(
  key: string,
  given: Pick<PrincipalCondition, 'values' | 'notValues'>,
): PrincipalCondition | undefined {
  const names = [...key.matchAll(/\[([^[\]]+)\]/g)].map(([, name = '']) => name);
  const [name = ''] = names;
  const needs = isReservedForGrpc(key) ? 'reserved-header' : 'http';
  if (key.startsWith(`${HEADERS}[`)) {
    return { ...given, needs, match: oneOf((value) => header(headerMatcher(name, value))) };
  }
  if (key.startsWith(`${LISTED_HEADERS}[`)) {
    return { ...given, needs, match: oneOf((value) => header(listedHeaderMatcher(name, value))) };
  }
  return key.startsWith(`${CLAIMS}[`) ? claim(names, given.values, given.notValues) : undefined;
}

/** gRFC A41: gRPC's own servers refuse a listener whose rules look at such a header. */
export function isReservedForGrpc(key: string): boolean {
  return RESERVED.test(key);
}

function header(matcher: Extract<RbacPrincipal, { kind: 'header' }>['matcher']): RbacPrincipal {
  return { kind: 'header', matcher };
}

function oneOf(make: (value: string) => RbacPrincipal): PrincipalCondition['match'] {
  return (values) => ({ kind: 'or', of: values.map(make) });
}

function address(
  of: 'direct' | 'remote',
  values: readonly string[] | undefined,
  notValues: readonly string[] | undefined,
): PrincipalCondition {
  const match = oneOf((value) => ({ kind: 'ip', of, range: rangeOf(value) }));
  return { ...lists(values, notValues), needs: 'connection', match };
}

function authenticated(name: StringMatcher): RbacPrincipal {
  return { kind: 'authenticated', name };
}

function byPattern(make: (value: string) => string): PrincipalCondition['match'] {
  return oneOf((value) => authenticated({ kind: 'regex', pattern: make(value) }));
}

/** SPIFFE IDs without their scheme. */
function peer(
  values: readonly string[] | undefined,
  notValues: readonly string[] | undefined,
  { trustDomains }: PrincipalScope,
): PrincipalCondition {
  const match = oneOf((value) => authenticated(spiffeMatcher(value)));
  return {
    ...lists(values, notValues),
    needs: 'connection',
    match: (all) => match(withAliases(all, trustDomains)),
  };
}

/** A suffix is a pattern here: what stands before it begins with the scheme. */
function spiffeMatcher(value: string): StringMatcher {
  if (value === '*') return ANY_TEXT;
  if (value.startsWith('*')) return { kind: 'regex', pattern: `${SPIFFE}.*${quoted(value.slice(1))}` };
  return textMatcher(`${SPIFFE}${value}`);
}

function namespace(
  values: readonly string[] | undefined,
  notValues: readonly string[] | undefined,
): PrincipalCondition {
  const match = byPattern((value) => `.*/ns/${withWildcards(value)}/.*`);
  return { ...lists(values, notValues), needs: 'connection', match };
}

function withWildcards(value: string, any = '.*'): string {
  return value.split('*').map(quoted).join(any);
}

/** `namespace/account`, or an account of the policy's own namespace. */
function account(
  values: readonly string[] | undefined,
  notValues: readonly string[] | undefined,
  scope: PrincipalScope,
): PrincipalCondition {
  const match = byPattern((value) => {
    const slash = value.indexOf('/');
    const owner = slash < 0 ? scope.namespace : value.slice(0, slash);
    const name = value.slice(slash + 1);
    // Istio: a SPIFFE ID may have further parts between and behind these.
    return `${SPIFFE}.+/ns/${quoted(owner)}/(.+/|)sa/${quoted(name)}(/.+)?`;
  });
  return { ...lists(values, notValues), needs: 'connection', match };
}

function trustDomain(
  values: readonly string[] | undefined,
  notValues: readonly string[] | undefined,
  { trustDomains }: PrincipalScope,
): PrincipalCondition {
  const match = byPattern(
    (value) => `${SPIFFE}${value === '*' ? '[^/]+' : withWildcards(value, '[^/]*')}/.*`,
  );
  return {
    ...lists(values, notValues),
    needs: 'connection',
    match: (all) => match(domainsWithAliases(all, trustDomains)),
  };
}

function claim(
  names: readonly string[],
  values: readonly string[] | undefined,
  notValues: readonly string[] | undefined,
): PrincipalCondition {
  const match = (all: readonly string[]): RbacPrincipal => ({
    kind: 'metadata',
    matcher: anyOfClaim(names, all),
  });
  return { ...lists(values, notValues), needs: 'jwt', match };
}

/** `issuer/subject`; an issuer may have slashes of its own. One alone needs no list around it. */
function requestPrincipals(values: readonly string[]): RbacPrincipal {
  const all = values.map(requestPrincipal);
  const [first] = all;
  return first !== undefined && all.length === 1 ? first : { kind: 'or', of: all };
}

function requestPrincipal(value: string): RbacPrincipal {
  const [issuer, subject] = tokenMatchers(value);
  const of = [
    { kind: 'metadata', matcher: claimMatcher(['iss'], { kind: 'string', matcher: issuer }) },
    { kind: 'metadata', matcher: claimMatcher(['sub'], { kind: 'string', matcher: subject }) },
  ] as const;
  return { kind: 'and', of };
}

/** The patterns of issuer and subject. */
function tokenMatchers(value: string): readonly [StringMatcher, StringMatcher] {
  if (value === '*') return [ANY_TEXT, ANY_TEXT];
  const slash = value.lastIndexOf('/');
  const [issuer, subject] = slash < 0 ? [value, ''] : [value.slice(0, slash), value.slice(slash + 1)];
  if (value.startsWith('*')) {
    if (slash < 0) return [ANY_TEXT, textMatcher(value)];
    return [textMatcher(issuer), exactly(subject)];
  }
  if (value.endsWith('*')) {
    if (slash < 0) return [textMatcher(value), ANY_TEXT];
    // Istio: a wildcard in front of a subject that ends with one is nothing special.
    const start: StringMatcher = { kind: 'prefix', value: subject.slice(0, -1), ignoreCase: false };
    return [exactly(issuer), subject === '*' ? ANY_TEXT : start];
  }
  return [exactly(issuer), exactly(subject)];
}
