/** Istio: in policies this domain means the mesh's own, whatever that is called. */
const OWN_DOMAIN = 'cluster.local';

/** The trust domains whose members are the same to policies: the mesh's own first, then its aliases. */
export type TrustDomains = readonly string[];

/** Principals as policies write them (`domain/ns/namespace/sa/account`), each for every domain that counts as its own. */
export function withAliases(principals: readonly string[], domains: TrustDomains): readonly string[] {
  return principals.flatMap((principal) => aliasesOf(principal, domains));
}

/** Istio: ReplaceTrustDomainAliases. */
function aliasesOf(principal: string, domains: TrustDomains): readonly string[] {
  const parts = principal.split('/');
  const [domain = ''] = parts;
  // What has another form names no domain, and `*` is every one.
  if (parts.length !== 5 || domain === '*') return [principal];
  const isOwn = domain === OWN_DOMAIN || domains.some((one) => overlap(one, domain));
  if (!isOwn) return [principal];
  const rest = parts.slice(1).join('/');
  // A domain with a wildcard stays as it is for those that it covers.
  return [...new Set(domains.map((one) => (endsLike(one, domain) ? principal : `${one}/${rest}`)))];
}

/** Trust domains of a policy, each with its aliases (Istio: ExpandTrustDomainAliases). */
export function domainsWithAliases(values: readonly string[], domains: TrustDomains): readonly string[] {
  return [...new Set(values.flatMap((value) => (domains.includes(value) ? domains : [value])))];
}

function overlap(a: string, b: string): boolean {
  return a === b || startsLike(a, b) || startsLike(b, a) || endsLike(a, b) || endsLike(b, a);
}

function startsLike(text: string, pattern: string): boolean {
  return pattern.endsWith('*') && text.startsWith(pattern.slice(0, -1));
}

function endsLike(text: string, pattern: string): boolean {
  return pattern.startsWith('*') && text.endsWith(pattern.slice(1));
}
