/** A value of JSON; integers that a number can't hold exactly are bigints. */
export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | JsonObject;

/** Without a prototype: a member is the text's own or undefined, `__proto__` included. */
export interface JsonObject {
  readonly [name: string]: JsonValue | undefined;
}

/** Makes the error for text that is not what it should be. */
export type JsonFailure = (what: string) => Error;

const MAX_DEPTH = 32;

const SPACE = /[ \t\n\r]*/y;
// RFC 8259 §7: no control characters, escapes of the listed kinds only.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it keeps out.
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const WORD = /true|false|null/y;

/** A bigint of more digits is of no use to anybody, and slow to make. */
const MAX_INTEGER_DIGITS = 40;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads JSON as RFC 8259 has it, and nothing looser: UTF-8 only, no member twice (two readers might believe different
 * ones), at most 32 levels deep, integers of any size kept exact. For what a stranger may have sent, of bounded length.
 */
export function parseStrictJson(text: string | Uint8Array, fail: JsonFailure): JsonValue {
  const reader = new Reader(typeof text === 'string' ? text : decodeUtf8(text, fail), fail);
  const value = reader.value(0);
  reader.end();
  return value;
}

/** Tells an object from the other values of JSON. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function decodeUtf8(bytes: Uint8Array, fail: JsonFailure): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw fail('it is not UTF-8');
  }
}

class Reader {
  readonly #text: string;
  readonly #fail: JsonFailure;
  #at = 0;

  constructor(text: string, fail: JsonFailure) {
    this.#text = text;
    this.#fail = fail;
  }

  value(depth: number): JsonValue {
    if (depth > MAX_DEPTH) throw this.#fail(`it is more than ${MAX_DEPTH} levels deep`);
    this.#match(SPACE);
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      default:
        return this.#wordOrNumber();
    }
  }

  end(): void {
    this.#match(SPACE);
    if (this.#at !== this.#text.length) throw this.#malformed();
  }

  #object(depth: number): JsonObject {
    const object: Record<string, JsonValue> = Object.create(null);
    this.#at++;
    if (this.#take('}')) return object;
    do {
      this.#match(SPACE);
      const name = this.#string();
      if (Object.hasOwn(object, name)) throw this.#fail(`it has the member ${show(name)} twice`);
      this.#expect(':');
      object[name] = this.value(depth + 1);
    } while (this.#take(','));
    this.#expect('}');
    return object;
  }

  #array(depth: number): JsonValue[] {
    const values: JsonValue[] = [];
    this.#at++;
    if (this.#take(']')) return values;
    do values.push(this.value(depth + 1));
    while (this.#take(','));
    this.#expect(']');
    return values;
  }

  #string(): string {
    const found = this.#match(STRING);
    if (found === undefined) throw this.#malformed();
    return found.includes('\\') ? (JSON.parse(found) as string) : found.slice(1, -1);
  }

  #wordOrNumber(): JsonValue {
    const word = this.#match(WORD);
    if (word !== undefined) return word === 'null' ? null : word === 'true';
    const found = this.#match(NUMBER);
    if (found === undefined) throw this.#malformed();
    const value = Number(found);
    if (!Number.isFinite(value)) throw this.#fail('a number is out of range');
    if (Number.isSafeInteger(value) || /[.eE]/.test(found)) return value;
    if (found.length > MAX_INTEGER_DIGITS) throw this.#fail('a number is out of range');
    return BigInt(found);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #take(character: string): boolean {
    this.#match(SPACE);
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #expect(character: string): void {
    if (!this.#take(character)) throw this.#malformed();
  }

  #malformed(): Error {
    return this.#fail(`it is not JSON at character ${this.#at}`);
  }
}

function show(name: string): string {
  return JSON.stringify(name.slice(0, 50));
}
