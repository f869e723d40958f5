import type { JwtRule } from '../kinds/types.js';

/** The keys of issuers of tokens. */
export interface IssuerKeys {
  /** Grows with each change. */
  readonly revision: number;
  /**
   * The keys by which the tokens of a rule are checked, as a JWK set. A set that is not there yet is asked for; until it
   * is, and when it can't be had, there are none.
   */
  keysOf(rule: JwtRule): string;
}

/** A set without keys: without the keys of an issuer, none of its tokens is taken. */
export const NO_KEYS = '{"keys":[]}';

/** Those that documents hold, and no others. */
export const INLINE_KEYS: IssuerKeys = { revision: 0, keysOf: (rule) => inlineKeys(rule) ?? NO_KEYS };

/** The keys that a rule holds itself; undefined = they are elsewhere. */
export function inlineKeys({ jwks = '' }: JwtRule): string | undefined {
  if (jwks === '') return undefined;
  const json: unknown = JSON.parse(jwks);
  // A key alone counts as a set of one.
  const isSet = typeof json === 'object' && json !== null && 'keys' in json;
  return isSet ? jwks : JSON.stringify({ keys: [json] });
}
