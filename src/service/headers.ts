import { MeshError } from '../runtime/errors.js';

/** Header lines as Node's clients and servers give them: name, value, name, value. */
export type RawHeaders = readonly (string | Buffer)[];

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z:]+$/;
/** RFC 9110 §5.5 forbids exactly these. */
const BAD_VALUE = /[\0\r\n]/;

/**
 * An ordered multimap of header lines; names are lower case.
 *
 * It is one flat array inside. Messages have few lines, so a scan will do, and an untouched
 * map costs nothing: it is decoded on first use, and `toRaw` gives the very array it came from.
 */
export class HeaderMap {
  #raw: RawHeaders | undefined;
  #lines: string[] | undefined;
  /** The same lines by the names as the caller spelled them, when one is not in lower case. */
  #spelled: string[] | undefined;

  private constructor(raw: RawHeaders | undefined, lines: string[] | undefined) {
    this.#raw = raw;
    this.#lines = lines;
  }

  /** An empty map. */
  static empty(): HeaderMap {
    return new HeaderMap(undefined, []);
  }

  /** Wraps raw lines without copying; the array must not change afterwards. */
  static fromRaw(raw: RawHeaders): HeaderMap {
    return new HeaderMap(raw, undefined);
  }

  /** Takes over an array of lower-case names and values. */
  static fromLines(lines: string[]): HeaderMap {
    return new HeaderMap(undefined, lines);
  }

  /** As `fromRaw`, for lines whose names are in lower case already (HTTP/2): nothing has to be decoded. */
  static fromLower(lines: string[]): HeaderMap {
    return new HeaderMap(lines, lines);
  }

  /** Takes over lines in lower case, and the same lines by the names that HTTP/1.1 shall write. */
  static fromSpelled(lines: string[], spelled: string[]): HeaderMap {
    const map = new HeaderMap(undefined, lines);
    map.#spelled = spelled;
    return map;
  }

  /** Copies name-value pairs; an array value becomes one line per element. Undefined values are left out. */
  static from(entries: Iterable<readonly [string, string | readonly string[] | undefined]>): HeaderMap {
    const map = HeaderMap.empty();
    for (const [name, value] of entries) {
      if (value === undefined) continue;
      if (typeof value === 'string') map.append(name, value);
      else for (const one of value) map.append(name, one);
    }
    return map;
  }

  /** The first value of a header (the name in lower case), or undefined. */
  get(name: string): string | undefined {
    const lines = this.#read();
    for (let i = 0; i < lines.length; i += 2) if (lines[i] === name) return lines[i + 1];
    return undefined;
  }

  /**
   * As `get`, but raw lines are searched as they are: for headers of which most messages have none, so that a map that
   * nobody else reads is not decoded for them.
   */
  peek(name: string): string | undefined {
    if (this.#lines !== undefined) return this.get(name);
    const at = this.#rawIndexOf(name);
    return at < 0 ? undefined : pieceText(this.#raw?.[at + 1] ?? '');
  }

  /** Whether the name of any line begins so (in lower case). Nothing is decoded or copied. */
  hasPrefix(prefix: string): boolean {
    const { length } = prefix;
    const raw = this.#raw ?? this.#lines ?? [];
    const first = prefix.charCodeAt(0);
    for (let i = 0; i < raw.length; i += 2) {
      const piece = raw[i];
      if (piece === undefined || piece.length < length) continue;
      // The first letter, whatever its case, tells most names apart.
      const letter = typeof piece === 'string' ? piece.charCodeAt(0) : (piece[0] ?? 0);
      if ((letter | 0x20) !== first) continue;
      const text = typeof piece === 'string' ? piece : piece.toString('latin1', 0, length);
      if (text.startsWith(prefix) || text.slice(0, length).toLowerCase() === prefix) return true;
    }
    return false;
  }

  /** All values of a header, in order. */
  getAll(name: string): string[] {
    const lines = this.#read();
    const values: string[] = [];
    for (let i = 0; i < lines.length; i += 2) if (lines[i] === name) values.push(lines[i + 1] ?? '');
    return values;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Replaces all lines of a header with one. */
  set(name: string, value: string): void {
    this.delete(name);
    this.append(name, value);
  }

  /**
   * Adds a line.
   * @throws MeshError `INMESH_HEADER_INVALID` when the name is no token or the value holds CR, LF or NUL (RFC 9110 §5).
   */
  append(name: string, value: string): void {
    if (!TOKEN.test(name) || BAD_VALUE.test(value)) {
      throw new MeshError(
        'INMESH_HEADER_INVALID',
        `header ${JSON.stringify(name)} has a forbidden character`,
      );
    }
    this.appendKnown(name.toLowerCase(), value);
  }

  /** Adds a line that is known to be valid: a name in lower case, a value that was checked before. */
  appendKnown(name: string, value: string): void {
    this.#write().push(name, value);
    this.#spelled?.push(name, value);
  }

  /**
   * Removes a header (the name in lower case) and gives its first value. As long as nothing else was read the raw lines
   * are searched as they are, so that a header which is rarely there costs next to nothing.
   */
  take(name: string): string | undefined {
    if (this.#lines !== undefined) {
      const value = this.get(name);
      if (value !== undefined) this.delete(name);
      return value;
    }
    if (this.#rawIndexOf(name) < 0) return undefined;
    const value = this.get(name);
    this.delete(name);
    return value;
  }

  #rawIndexOf(name: string): number {
    const raw = this.#raw ?? [];
    for (let i = 0; i < raw.length; i += 2) {
      const piece = raw[i];
      if (piece?.length === name.length && pieceText(piece).toLowerCase() === name) return i;
    }
    return -1;
  }

  /** Removes all lines of a header. What is not there costs no copy. */
  delete(name: string): void {
    if (!this.has(name)) return;
    const lines = this.#write();
    for (let i = lines.length - 2; i >= 0; i -= 2) {
      if (lines[i] !== name) continue;
      lines.splice(i, 2);
      this.#spelled?.splice(i, 2);
    }
  }

  /** Every line, in order, as [name, value]. */
  *[Symbol.iterator](): IterableIterator<[string, string]> {
    const lines = this.#read();
    for (let i = 0; i < lines.length; i += 2) yield [lines[i] ?? '', lines[i + 1] ?? ''];
  }

  /** Number of lines. */
  get size(): number {
    return (this.#raw ?? this.#lines ?? []).length / 2;
  }

  /** The lines as one flat array: the original one when nothing was changed. Do not modify it. */
  toRaw(): RawHeaders {
    return this.#raw ?? this.#lines ?? [];
  }

  /** The lines as one flat array of strings with lower-case names. Do not modify it. */
  toLines(): readonly string[] {
    return this.#read();
  }

  /** The lines by the names that the caller spelled, for HTTP/1.1. Do not modify it. */
  toSpelled(): readonly string[] {
    return this.#spelled ?? this.#read();
  }

  /** An independent copy; cheap while neither side is changed. */
  clone(): HeaderMap {
    if (this.#raw !== undefined) {
      return new HeaderMap(this.#raw, this.#lines === this.#raw ? this.#lines : undefined);
    }
    const copy = new HeaderMap(undefined, [...(this.#lines ?? [])]);
    if (this.#spelled !== undefined) copy.#spelled = [...this.#spelled];
    return copy;
  }

  #read(): string[] {
    if (this.#lines === undefined) this.#lines = decodeLines(this.#raw ?? []);
    return this.#lines;
  }

  #write(): string[] {
    let lines = this.#read();
    if (lines === this.#raw) {
      lines = [...lines];
      this.#lines = lines;
    }
    this.#raw = undefined;
    return lines;
  }
}

function pieceText(piece: string | Buffer): string {
  return typeof piece === 'string' ? piece : piece.toString('latin1');
}

function decodeLines(raw: RawHeaders): string[] {
  const lines: string[] = new Array(raw.length);
  for (let i = 0; i < raw.length; i++) {
    const piece = raw[i] ?? '';
    // RFC 9110 §5.5: field values are bytes; latin1 keeps them as they are.
    const text = pieceText(piece);
    lines[i] = (i & 1) === 0 ? text.toLowerCase() : text;
  }
  return lines;
}
