/** Finds what belongs to an authority. */
export interface DomainIndex<T> {
  find(authority: string): T | undefined;
}

interface Wildcards<T> {
  /** Longest first. */
  readonly lengths: readonly number[];
  readonly byLength: ReadonlyMap<number, ReadonlyMap<string, T>>;
}

/**
 * Indexes domains by Envoy's order: exact, longest `*suffix`, longest `prefix*`, `*`. Names are compared in lower case
 * and a wildcard stands for at least one character. Of equal domains the first counts. The cost of a look-up depends
 * on the number of distinct wildcard lengths, not on the number of domains.
 */
export function indexDomains<T>(entries: Iterable<readonly [domain: string, value: T]>): DomainIndex<T> {
  const exact = new Map<string, T>();
  const suffixes = new Map<number, Map<string, T>>();
  const prefixes = new Map<number, Map<string, T>>();
  let fallback: T | undefined;
  for (const [name, value] of entries) {
    const domain = name.toLowerCase();
    if (domain === '*') fallback ??= value;
    else if (domain.startsWith('*')) addWildcard(suffixes, domain.slice(1), value);
    else if (domain.endsWith('*')) addWildcard(prefixes, domain.slice(0, -1), value);
    else if (!exact.has(domain)) exact.set(domain, value);
  }
  // Envoy: a table whose only domain is `*` does not look at the host at all.
  if (exact.size + suffixes.size + prefixes.size === 0) return { find: () => fallback };
  const bySuffix = sortWildcards(suffixes);
  const byPrefix = sortWildcards(prefixes);
  return {
    find(authority) {
      const host = authority.toLowerCase();
      return exact.get(host) ?? findSuffix(bySuffix, host) ?? findPrefix(byPrefix, host) ?? fallback;
    },
  };
}

function addWildcard<T>(target: Map<number, Map<string, T>>, text: string, value: T): void {
  let same = target.get(text.length);
  if (same === undefined) {
    same = new Map();
    target.set(text.length, same);
  }
  if (!same.has(text)) same.set(text, value);
}

function sortWildcards<T>(byLength: ReadonlyMap<number, ReadonlyMap<string, T>>): Wildcards<T> {
  return { lengths: [...byLength.keys()].sort((a, b) => b - a), byLength };
}

function findSuffix<T>({ lengths, byLength }: Wildcards<T>, host: string): T | undefined {
  for (const length of lengths) {
    if (length >= host.length) continue;
    const found = byLength.get(length)?.get(host.slice(host.length - length));
    if (found !== undefined) return found;
  }
  return undefined;
}

function findPrefix<T>({ lengths, byLength }: Wildcards<T>, host: string): T | undefined {
  for (const length of lengths) {
    if (length >= host.length) continue;
    const found = byLength.get(length)?.get(host.slice(0, length));
    if (found !== undefined) return found;
  }
  return undefined;
}
