import { createHash, timingSafeEqual } from 'node:crypto';

const REDACTED = '[redacted]';

/**
 * A text that must not be shown: a token, a key, a passphrase. Whatever prints it (logs, errors, `JSON.stringify`,
 * `util.inspect`, template strings) gets a placeholder; the text itself is to be asked for.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    Object.freeze(this);
  }

  /** The text. Whoever calls this answers for where it goes. */
  reveal(): string {
    return this.#text;
  }

  /** Whether it is that text; takes the same time whatever they have in common, and says nothing of lengths. */
  equals(other: string): boolean {
    return timingSafeEqual(digest(this.#text), digest(other));
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED;
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
