/** JSON of a token. */
export type Claims = Readonly<Record<string, unknown>>;

/** A claim of the token's own, never one of its prototype. */
export function claimOf(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

/** A claim as the value of a header (Envoy `claim_to_headers`); `a.b` is the member `b` of the object `a`. Empty = none. */
export function claimHeader(payload: Claims, name: string): string {
  const text = claimText(nestedClaim(payload, name));
  // What an issuer let a user put into a claim must not break the header block; header values are bytes.
  return /[\0\r\n]/.test(text) ? '' : Buffer.from(text).toString('latin1');
}

/** The claims as rules see them: of some, the text is a list with spaces (Envoy `space_delimited_claims`). */
export function withLists(payload: Claims, claims: readonly string[]): Claims {
  const lists = claims.flatMap((name) => {
    const value = claimOf(payload, name);
    return typeof value === 'string' ? [[name, value.split(' ').filter((one) => one !== '')]] : [];
  });
  return lists.length === 0 ? payload : { ...payload, ...Object.fromEntries(lists) };
}

function nestedClaim(payload: Claims, name: string): unknown {
  let value: unknown = payload;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    value = claimOf(value as Claims, part);
  }
  return value;
}

function claimText(claim: unknown): string {
  switch (typeof claim) {
    case 'string':
      return claim;
    case 'boolean':
      return String(claim);
    case 'number':
      // Envoy: whole numbers that are not negative as such, others with six digits.
      return Number.isInteger(claim) && claim >= 0 && claim < 2 ** 64
        ? BigInt(claim).toString()
        : claim.toFixed(6);
    default:
      return typeof claim === 'object' && claim !== null
        ? Buffer.from(JSON.stringify(claim)).toString('base64')
        : '';
  }
}
