import { MeshError } from './errors.js';

/** What data of one document may cost: the same caps as those for documents that are read. */
const MAX_DEPTH = 64;
const MAX_VALUES = 200_000;

const SURROGATE = /\p{Surrogate}/u;

/**
 * A frozen copy of data as JSON could write it: null, texts, numbers, booleans, lists and plain objects. Fields that are
 * undefined are left out; everything else that JSON has no word for is refused, with the way to it.
 * `subject` says in errors what the data is.
 * @throws MeshError `INMESH_CONFIG_INVALID`, `INMESH_CONFIG_TOO_LARGE`.
 */
export function plainData<T>(value: T, subject: string): T {
  // The copy has the same fields and values.
  return new Copy(subject).of(value, []) as T;
}

type Path = readonly (string | number)[];

class Copy {
  readonly #subject: string;
  /** The objects that are being copied: to meet one again is a cycle. */
  readonly #open = new Set<object>();
  #values = 0;

  constructor(subject: string) {
    this.#subject = subject;
  }

  of(value: unknown, path: Path): unknown {
    if (++this.#values > MAX_VALUES) throw this.#tooLarge(path, `more than ${MAX_VALUES} values`);
    switch (typeof value) {
      case 'string':
        if (SURROGATE.test(value)) throw this.#refuse(path, 'half of a surrogate pair, which is no text');
        return value;
      case 'number':
        return this.#number(value, path);
      case 'boolean':
        return value;
      case 'object':
        return value === null ? null : this.#object(value, path);
      case 'undefined':
        throw this.#refuse(path, 'undefined');
      default:
        throw this.#refuse(path, `a ${typeof value}`);
    }
  }

  #number(value: number, path: Path): number {
    if (!Number.isFinite(value)) throw this.#refuse(path, String(value));
    if (Number.isInteger(value) && !Number.isSafeInteger(value))
      throw this.#refuse(path, `the number ${value}, which is too large to be exact`);
    // Minus zero is written like zero.
    return value === 0 ? 0 : value;
  }

  #object(value: object, path: Path): unknown {
    if (path.length >= MAX_DEPTH) throw this.#tooLarge(path, `nested deeper than ${MAX_DEPTH} levels`);
    if (this.#open.has(value)) throw this.#refuse(path, 'an object that contains itself');
    this.#open.add(value);
    const copy = Array.isArray(value) ? this.#list(value, path) : this.#fields(value, path);
    this.#open.delete(value);
    return Object.freeze(copy);
  }

  #list(value: readonly unknown[], path: Path): unknown[] {
    // Array.from, as map passes over holes.
    return Array.from(value, (item, index) => this.of(item, [...path, index]));
  }

  #fields(value: object, path: Path): object {
    if (!isPlain(value)) throw this.#refuse(path, `a ${value.constructor?.name ?? 'special object'}`);
    const symbol = Object.getOwnPropertySymbols(value)[0];
    if (symbol !== undefined) throw this.#refuse(path, `a field named by ${String(symbol)}`);
    const copy: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value)) {
      const at = [...path, key];
      if (key === '__proto__') throw this.#refuse(at, 'a field of that name');
      if (SURROGATE.test(key)) throw this.#refuse(path, 'a field whose name is no text');
      if (item !== undefined) copy[key] = this.of(item, at);
    }
    return copy;
  }

  #refuse(path: Path, what: string): MeshError {
    return new MeshError('INMESH_CONFIG_INVALID', `${textOf(path)} can not be ${what}`, {
      resource: this.#subject,
      hint: 'Configuration is plain data: null, texts, numbers, booleans, lists and plain objects',
    });
  }

  #tooLarge(path: Path, what: string): MeshError {
    return new MeshError('INMESH_CONFIG_TOO_LARGE', `${textOf(path)} is too large: ${what}`, {
      resource: this.#subject,
    });
  }
}

/** Whether an object is nothing but its fields; objects of other realms have another prototype of the same kind. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function textOf(path: Path): string {
  const shown = path.slice(0, 20);
  let text = '';
  for (const step of shown)
    text += typeof step === 'number' ? `[${step}]` : `${text === '' ? '' : '.'}${step}`;
  return text === '' ? 'this' : text.slice(0, 300);
}
