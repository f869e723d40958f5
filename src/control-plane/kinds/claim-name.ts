const CLAIMS = '@request.auth.claims';

/**
 * The way to a claim that a name of a header stands for (Istio: ToRoutingClaim): `@request.auth.claims.group.name` or
 * `@request.auth.claims[group][name]`; with brackets, names may hold dots. Undefined for a header.
 */
export function claimPath(name: string): readonly string[] | undefined {
  if (!name.toLowerCase().startsWith(CLAIMS)) return undefined;
  const rest = name.slice(CLAIMS.length);
  if (rest.length > 1 && rest.startsWith('.')) return rest.slice(1).split('.');
  if (rest.length > 2 && rest.startsWith('[') && rest.endsWith(']')) return rest.slice(1, -1).split('][');
  return undefined;
}
