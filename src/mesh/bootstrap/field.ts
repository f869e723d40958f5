import { MeshError } from '../../runtime/errors.js';
import { type JsonStep, placeOf } from './json-place.js';

/** A JSON text, and what it is called. */
export interface Source {
  /** A path, or the name of an environment variable. */
  readonly name: string;
  readonly text: string;
}

/** A value of a bootstrap with its place, so that each complaint names it. What is null counts as absent. */
export class Field {
  readonly #source: Source;
  readonly #path: readonly JsonStep[];
  readonly #value: unknown;

  constructor(source: Source, value: unknown, path: readonly JsonStep[] = []) {
    this.#source = source;
    this.#value = value ?? undefined;
    this.#path = path;
  }

  get isAbsent(): boolean {
    return this.#value === undefined;
  }

  /** A member of an object; an absent object has absent members. */
  get(name: string): Field {
    const object = this.#object();
    const value = object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined;
    return new Field(this.#source, value, [...this.#path, name]);
  }

  /** The members of an object; none when it is absent. */
  entries(): readonly (readonly [string, Field])[] {
    return Object.keys(this.#object() ?? {}).map((name) => [name, this.get(name)] as const);
  }

  /** The items of a list; none when it is absent. */
  items(): readonly Field[] {
    if (this.#value === undefined) return [];
    if (!Array.isArray(this.#value)) return this.fail('must be a list');
    return this.#value.map((item: unknown, index) => new Field(this.#source, item, [...this.#path, index]));
  }

  text(): string {
    return this.optionalText() ?? this.fail('is missing');
  }

  optionalText(): string | undefined {
    if (this.#value === undefined || typeof this.#value === 'string') return this.#value;
    return this.fail('must be a string');
  }

  unknown(): unknown {
    return this.#value;
  }

  /** An object as it is; empty when it is absent. */
  json(): Readonly<Record<string, unknown>> {
    return this.#object() ?? {};
  }

  fail(what: string): never {
    const { name, text } = this.#source;
    const { line, column } = placeOf(text, this.#path);
    throw new MeshError(
      'INMESH_BOOTSTRAP_INVALID',
      `the xDS bootstrap can not be used: ${spell(this.#path)} ${what}`,
      { resource: `${name}:${line}:${column}`, hint: HINT },
    );
  }

  #object(): Readonly<Record<string, unknown>> | undefined {
    if (this.#value === undefined) return undefined;
    if (typeof this.#value !== 'object' || Array.isArray(this.#value)) return this.fail('must be an object');
    // JSON.parse made it: a plain object, its values unknown.
    return this.#value as Readonly<Record<string, unknown>>;
  }
}

/** What to do about a bootstrap that can't be used. */
export const HINT =
  'Correct it, or unset GRPC_XDS_BOOTSTRAP and GRPC_XDS_BOOTSTRAP_CONFIG and set INMESH_CONTROL_PLANE=host:port';

function spell(path: readonly JsonStep[]): string {
  const [first, ...rest] = path;
  if (first === undefined) return 'it';
  return `${first}${rest.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')}`;
}
