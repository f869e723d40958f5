/** Makes the error for bytes that are not what they should be. */
export type DerFailure = (what: string) => Error;

/** One tag-length-value, as views into the bytes it was read from. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content. */
  readonly raw: Uint8Array;
}

/** The tags that certificates and signing requests use. */
export const DerTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tag of `[number]` in context, constructed (explicit, or implicit over a sequence). */
export const contextTag = (number: number): number => 0xa0 | number;

/** Tag of `[number]` in context, primitive (implicit over a string or integer). */
export const contextPrimitiveTag = (number: number): number => 0x80 | number;

/**
 * Reads DER as X.690 §10 has it and nothing looser: one-byte tags, definite lengths in their shortest form, every
 * length inside its parent. It is the only thing here that parses bytes a peer sent.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #fail: DerFailure;
  #at = 0;

  constructor(bytes: Uint8Array, fail: DerFailure) {
    this.#bytes = bytes;
    this.#fail = fail;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The tag of the next element, or undefined at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The next element, which must have this tag when one is given. */
  next(tag?: number): DerElement {
    const start = this.#at;
    const found = this.#byte();
    if ((found & 0x1f) === 0x1f) throw this.#fail('a tag has more than one byte');
    if (tag !== undefined && found !== tag) {
      throw this.#fail(`found tag 0x${found.toString(16)} where 0x${tag.toString(16)} must be`);
    }
    const length = this.#length();
    const from = this.#at;
    if (length > this.#bytes.length - from) throw this.#fail('a length reaches beyond its container');
    this.#at = from + length;
    return {
      tag: found,
      content: this.#bytes.subarray(from, this.#at),
      raw: this.#bytes.subarray(start, this.#at),
    };
  }

  /** The next element if it has this tag. */
  optional(tag: number): DerElement | undefined {
    return this.peek() === tag ? this.next(tag) : undefined;
  }

  /** A reader over the content of the next element, which must have this tag. */
  enter(tag: number = DerTag.sequence): DerReader {
    return new DerReader(this.next(tag).content, this.#fail);
  }

  /** Refuses bytes that nobody read. */
  end(): void {
    if (!this.done) throw this.#fail('bytes follow where the structure ends');
  }

  /** An object identifier in dotted form. */
  oid(): string {
    return this.#oidText(this.next(DerTag.oid).content);
  }

  /** A BOOLEAN; DER knows only 00 and FF. */
  boolean(): boolean {
    const { content } = this.next(DerTag.boolean);
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff))
      throw this.#fail('a BOOLEAN is not DER');
    return content[0] === 0xff;
  }

  /** The content of an INTEGER in its shortest form. */
  integer(tag: number = DerTag.integer): Uint8Array {
    const { content } = this.next(tag);
    const [first, second = 0] = content;
    if (first === undefined) throw this.#fail('an INTEGER is empty');
    const padded =
      content.length > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
    if (padded) throw this.#fail('an INTEGER is not in its shortest form');
    return content;
  }

  /** An INTEGER between 0 and 2^31-1. */
  smallInteger(tag: number = DerTag.integer): number {
    const content = this.integer(tag);
    if (content.length > 4 || (content[0] ?? 0x80) >= 0x80) throw this.#fail('an INTEGER is out of range');
    return content.reduce((value, byte) => value * 256 + byte, 0);
  }

  /** The bits of a BIT STRING: its bytes and how many of the last byte's bits do not count. */
  bitString(): { readonly bytes: Uint8Array; readonly unusedBits: number } {
    const { content } = this.next(DerTag.bitString);
    const unusedBits = content[0];
    if (unusedBits === undefined || unusedBits > 7 || (content.length === 1 && unusedBits !== 0)) {
      throw this.#fail('a BIT STRING is malformed');
    }
    const bytes = content.subarray(1);
    const last = bytes[bytes.length - 1] ?? 0;
    if ((last & ((1 << unusedBits) - 1)) !== 0) throw this.#fail('a BIT STRING has unused bits that are set');
    return { bytes, unusedBits };
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw this.#fail('the bytes end too early');
    this.#at++;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw this.#fail('a length is indefinite or absurd');
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#byte();
    if (length < 0x80 || length < 256 ** (count - 1))
      throw this.#fail('a length is not in its shortest form');
    return length;
  }

  #oidText(content: Uint8Array): string {
    const arcs: number[] = [];
    let value = 0;
    let fresh = true;
    for (const byte of content) {
      if (fresh && byte === 0x80) throw this.#fail('an object identifier is not in its shortest form');
      value = value * 128 + (byte & 0x7f);
      if (value > Number.MAX_SAFE_INTEGER / 128) throw this.#fail('an object identifier has a huge arc');
      fresh = byte < 0x80;
      if (!fresh) continue;
      if (arcs.length === 0)
        arcs.push(Math.min(2, Math.floor(value / 40)), value - 40 * Math.min(2, Math.floor(value / 40)));
      else arcs.push(value);
      value = 0;
    }
    if (!fresh || arcs.length === 0) throw this.#fail('an object identifier ends too early');
    return arcs.join('.');
  }
}
