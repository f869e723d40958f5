/** Where something stands in a text, counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** One step into a JSON document. */
export type JsonStep = string | number;

/** Where the value of a path stands in a valid JSON text, or what is nearest to it when it is not there. */
export function placeOf(text: string, path: readonly JsonStep[]): Place {
  const scanner = new Scanner(text, path);
  scanner.document();
  return place(text, scanner.found);
}

/** Where a text stops to be JSON. */
export function placeOfSyntaxError(text: string): Place {
  const scanner = new Scanner(text, []);
  scanner.document();
  return place(text, scanner.fault ?? text.length);
}

function place(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

const LITERAL = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/y;
const STRING = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

/** Reads JSON for nothing but its places: Node's parser does not always say where it failed. */
class Scanner {
  /** Of the value looked for, or of the last one on the way to it. */
  found = 0;
  fault: number | undefined;
  readonly #text: string;
  readonly #path: readonly JsonStep[];
  #at = 0;
  #depth = 0;

  constructor(text: string, path: readonly JsonStep[]) {
    this.#text = text;
    this.#path = path;
  }

  document(): void {
    this.#value(0);
    this.#blank();
    if (this.#at < this.#text.length) this.#fail();
  }

  /** `matched`: how much of the path leads here; -1 = the path leads elsewhere. */
  #value(matched: number): void {
    this.#blank();
    if (this.fault !== undefined) return;
    if (matched >= this.#depth) {
      this.#depth = matched;
      this.found = this.#at;
    }
    const next = this.#path[matched];
    if (this.#take('{')) this.#members(matched, next);
    else if (this.#take('[')) this.#items(matched, next);
    else if (this.#match(STRING) === undefined && this.#match(LITERAL) === undefined) this.#fail();
  }

  #members(matched: number, next: JsonStep | undefined): void {
    if (this.#closes('}')) return;
    do {
      this.#blank();
      const key = this.#match(STRING);
      if (key === undefined || !this.#closes(':')) {
        this.#fail();
        return;
      }
      this.#value(matched >= 0 && JSON.parse(key) === next ? matched + 1 : -1);
    } while (this.fault === undefined && this.#closes(','));
    if (!this.#closes('}')) this.#fail();
  }

  #items(matched: number, next: JsonStep | undefined): void {
    if (this.#closes(']')) return;
    let index = 0;
    do this.#value(matched >= 0 && index++ === next ? matched + 1 : -1);
    while (this.fault === undefined && this.#closes(','));
    if (!this.#closes(']')) this.#fail();
  }

  #closes(character: string): boolean {
    this.#blank();
    return this.#take(character);
  }

  #take(character: string): boolean {
    if (this.fault !== undefined || this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #blank(): void {
    while (' \t\r\n'.includes(this.#text[this.#at] ?? '?')) this.#at++;
  }

  #fail(): void {
    this.fault ??= this.#at;
  }
}
