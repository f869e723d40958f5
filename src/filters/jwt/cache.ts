import type { Token } from './token.js';

/** Envoy: a longer token is not remembered. */
const MAX_TOKEN_BYTES = 4096;

/** The tokens of a provider whose signature was verified; the one that was not used for longest makes room. */
export class TokenCache {
  readonly #size: number;
  readonly #tokens = new Map<string, Token>();

  constructor(size: number) {
    this.#size = size;
  }

  get(text: string): Token | undefined {
    const token = this.#tokens.get(text);
    if (token === undefined) return undefined;
    this.#tokens.delete(text);
    this.#tokens.set(text, token);
    return token;
  }

  add(token: Token): void {
    if (token.text.length > MAX_TOKEN_BYTES) return;
    this.#tokens.set(token.text, token);
    if (this.#tokens.size <= this.#size) return;
    for (const oldest of this.#tokens.keys()) {
      this.#tokens.delete(oldest);
      return;
    }
  }

  delete(text: string): void {
    this.#tokens.delete(text);
  }
}
