import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createFileRegistry,
  type DescField,
  type DescMessage,
  type DescOneof,
  type FileRegistry,
  fromBinary,
  fromJson,
  getOption,
  type JsonValue,
  toBinary,
} from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import {
  type Any,
  type Duration,
  FeatureSet_FieldPresence,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
// A script, not part of the package.
import { buildImage } from '../../../../../scripts/build-proto.mjs';

/** The `validate.rules` that a field has, as far as Envoy's files use them. */
type Rules = Readonly<Record<string, unknown>>;

/** Checks resources by the rules that Envoy's own files state (protoc-gen-validate), which Envoy carries out. */
export interface Validator {
  /** What is wrong with the bytes of a message; unknown fields are, too. */
  check(typeUrl: string, bytes: Uint8Array): readonly string[];
  /** The same for JSON; what is no field of the message is wrong, too. */
  checkJson(typeUrl: string, json: JsonValue): readonly string[];
}

/** Reads the rules from descriptors that still have their options. */
export function loadValidator(): Validator {
  const dir = mkdtempSync(join(tmpdir(), 'inmesh-pgv-'));
  try {
    const image = fromBinary(
      FileDescriptorSetSchema,
      readFileSync(buildImage(dir, ['envoy/config/bootstrap/v3/bootstrap.proto'])),
    );
    return new DescriptorValidator(createFileRegistry(image));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const nameOf = (typeUrl: string) => typeUrl.slice(typeUrl.lastIndexOf('/') + 1);

class DescriptorValidator implements Validator {
  readonly #registry: FileRegistry;

  constructor(registry: FileRegistry) {
    this.#registry = registry;
  }

  check(typeUrl: string, bytes: Uint8Array): readonly string[] {
    const problems: string[] = [];
    this.#bytes(typeUrl, bytes, nameOf(typeUrl), problems);
    return problems;
  }

  checkJson(typeUrl: string, json: JsonValue): readonly string[] {
    const desc = this.#registry.getMessage(nameOf(typeUrl));
    if (desc === undefined) return [`${typeUrl} is not known`];
    try {
      return this.check(typeUrl, toBinary(desc, fromJson(desc, json, { registry: this.#registry })));
    } catch (error) {
      return [String(error)];
    }
  }

  #bytes(typeUrl: string, bytes: Uint8Array, path: string, problems: string[]): void {
    const desc = this.#registry.getMessage(nameOf(typeUrl));
    if (desc === undefined) problems.push(`${path}: ${typeUrl} is not known`);
    else this.#message(reflect(desc, fromBinary(desc, bytes)), path, problems);
  }

  #message(message: ReflectMessage, path: string, problems: string[]): void {
    const { desc } = message;
    if (desc.typeName === 'google.protobuf.Any') {
      // Reflected as what its name says.
      const any = message.message as Any;
      this.#bytes(any.typeUrl, any.value, `${path}<${nameOf(any.typeUrl)}>`, problems);
      return;
    }
    if ((message.message.$unknown ?? []).length > 0) problems.push(`${path}: has unknown fields`);
    for (const oneof of desc.oneofs) {
      if (this.#isRequired(oneof) && message.oneofCase(oneof) === undefined) {
        problems.push(`${path}.${oneof.name}: one of its fields is required`);
      }
    }
    for (const field of desc.fields) this.#field(message, field, `${path}.${field.name}`, problems);
  }

  #field(message: ReflectMessage, field: DescField, path: string, problems: string[]): void {
    const rules = this.#rulesOf(field);
    const isSet = message.isSet(field);
    // In a oneof it means: when this one is chosen.
    const mustBeSet = rules !== undefined && field.oneof === undefined && isRequired(rules);
    if (mustBeSet && !isSet) problems.push(`${path}: is required`);
    switch (field.fieldKind) {
      case 'list': {
        const items = [...message.get(field)];
        for (const problem of listProblems(items, part(rules, 'repeated')))
          problems.push(`${path}: ${problem}`);
        const each = part(rules, 'repeated')?.['items'] as Rules | undefined;
        for (const [index, item] of items.entries()) {
          this.#value(item, each, `${path}[${index}]`, problems);
        }
        return;
      }
      case 'map': {
        for (const [key, item] of message.get(field)) {
          this.#value(key, part(rules, 'map')?.['keys'] as Rules | undefined, `${path}{key}`, problems);
          this.#value(
            item,
            part(rules, 'map')?.['values'] as Rules | undefined,
            `${path}{${String(key)}}`,
            problems,
          );
        }
        return;
      }
      case 'message':
        if (isSet) this.#value(message.get(field), rules, path, problems);
        return;
      default: {
        // In a oneof, and where presence is tracked, what is not set is not looked at.
        if (!isSet && (field.oneof !== undefined || field.presence === FeatureSet_FieldPresence.EXPLICIT))
          return;
        this.#value(message.get(field), rules, path, problems);
      }
    }
  }

  #value(value: unknown, rules: Rules | undefined, path: string, problems: string[]): void {
    for (const problem of valueProblems(value, rules)) problems.push(`${path}: ${problem}`);
    if (isReflected(value)) this.#message(value, path, problems);
  }

  #rulesOf(field: DescField): Rules | undefined {
    return this.#option(field, 'validate.rules') as Rules | undefined;
  }

  #isRequired(oneof: DescOneof): boolean {
    return this.#option(oneof, 'validate.required') === true;
  }

  #option(desc: DescField | DescOneof, name: string): unknown {
    // An option of a oneof is read like that of a field.
    const extension = this.#registry.getExtension(name);
    if (extension === undefined) throw new Error(`the descriptors have no ${name}`);
    return desc.proto.options === undefined ? undefined : getOption(desc as never, extension as never);
  }
}

function isReflected(value: unknown): value is ReflectMessage {
  return (
    typeof value === 'object' &&
    value !== null &&
    'desc' in value &&
    (value.desc as DescMessage).kind === 'message'
  );
}

/** The rules of one kind: a oneof in `FieldRules`. */
function part(rules: Rules | undefined, kind: string): Rules | undefined {
  const type = rules?.['type'] as { readonly case?: string; readonly value?: Rules } | undefined;
  return type?.case === kind ? type.value : undefined;
}

function isRequired(rules: Rules): boolean {
  const message = rules['message'] as Rules | undefined;
  return (
    message?.['required'] === true ||
    part(rules, 'duration')?.['required'] === true ||
    part(rules, 'any')?.['required'] === true
  );
}

function listProblems(items: readonly unknown[], rules: Rules | undefined): string[] {
  if (rules === undefined || (rules['ignoreEmpty'] === true && items.length === 0)) return [];
  const { minItems, maxItems, unique } = given(rules);
  const problems: string[] = [];
  if (minItems !== undefined && items.length < Number(minItems))
    problems.push(`has fewer than ${minItems} items`);
  if (maxItems !== undefined && items.length > Number(maxItems))
    problems.push(`has more than ${maxItems} items`);
  if (unique === true && new Set(items).size < items.length) problems.push('has an item twice');
  return problems;
}

/** Only the fields that were set: proto2 tells. */
function given(rules: Rules): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(rules).filter(([key]) => Object.hasOwn(rules, key)));
}

const NUMBERS = /^(?:float|double|[su]?int(?:32|64)|s?fixed(?:32|64))$/;

function valueProblems(value: unknown, rules: Rules | undefined): string[] {
  const type = rules?.['type'] as { readonly case?: string; readonly value?: Rules } | undefined;
  if (type?.case === undefined || type.value === undefined) return [];
  const set = given(type.value);
  const plain =
    isReflected(value) && 'value' in value.message ? (value.message as { value?: unknown }).value : value;
  if (NUMBERS.test(type.case)) return numberProblems(plain as number | bigint, set);
  switch (type.case) {
    case 'string':
      return stringProblems(String(plain), set);
    case 'bytes':
      return bytesProblems(plain as Uint8Array, set);
    case 'enum':
      return enumProblems(plain as number, set);
    case 'duration':
      return isReflected(value) ? durationProblems(value.message as Duration, set) : [];
    case 'bool':
      return set['const'] !== undefined && plain !== set['const'] ? [`must be ${String(set['const'])}`] : [];
    default:
      return [];
  }
}

function bytesProblems(
  { length }: Uint8Array,
  { minLen, maxLen }: Readonly<Record<string, unknown>>,
): string[] {
  if (minLen !== undefined && length < Number(minLen)) return ['has too few bytes'];
  return maxLen !== undefined && length > Number(maxLen) ? ['has too many bytes'] : [];
}

function enumProblems(value: number, set: Readonly<Record<string, unknown>>): string[] {
  const { notIn = [], in: among = [] } = set as { readonly notIn?: number[]; readonly in?: number[] };
  const isWrong = notIn.includes(value) || (among.length > 0 && !among.includes(value));
  return isWrong ? [`must not be ${value}`] : [];
}

function numberProblems(value: number | bigint, set: Readonly<Record<string, unknown>>): string[] {
  if (set['ignoreEmpty'] === true && Number(value) === 0) return [];
  return comparisons(Number(value), (key) => (set[key] === undefined ? undefined : Number(set[key])));
}

function durationProblems(value: Duration, set: Readonly<Record<string, unknown>>): string[] {
  const nanos = (one: Duration) => Number(one.seconds) * 1e9 + one.nanos;
  return comparisons(nanos(value), (key) => {
    const limit = set[key] as Duration | undefined;
    return limit === undefined ? undefined : nanos(limit);
  });
}

function comparisons(value: number, limit: (key: string) => number | undefined): string[] {
  const holds: Readonly<Record<string, (a: number, b: number) => boolean>> = {
    lt: (a, b) => a < b,
    lte: (a, b) => a <= b,
    gt: (a, b) => a > b,
    gte: (a, b) => a >= b,
  };
  return Object.entries(holds).flatMap(([key, test]) => {
    const wanted = limit(key);
    return wanted === undefined || test(value, wanted) ? [] : [`${value} is not ${key} ${wanted}`];
  });
}

function stringProblems(value: string, set: Readonly<Record<string, unknown>>): string[] {
  if (set['ignoreEmpty'] === true && value === '') return [];
  const problems: string[] = [];
  const check = (key: string, holds: (wanted: never) => boolean) => {
    const wanted = set[key];
    if (wanted === undefined || (Array.isArray(wanted) && wanted.length === 0)) return;
    if (!holds(wanted as never)) problems.push(`${JSON.stringify(value)} breaks ${key}`);
  };
  check('minLen', (wanted: bigint) => [...value].length >= Number(wanted));
  check('maxLen', (wanted: bigint) => [...value].length <= Number(wanted));
  check('minBytes', (wanted: bigint) => Buffer.byteLength(value) >= Number(wanted));
  check('maxBytes', (wanted: bigint) => Buffer.byteLength(value) <= Number(wanted));
  check('prefix', (wanted: string) => value.startsWith(wanted));
  check('suffix', (wanted: string) => value.endsWith(wanted));
  check('in', (wanted: readonly string[]) => wanted.includes(value));
  check('notIn', (wanted: readonly string[]) => !wanted.includes(value));
  check('pattern', (wanted: string) => new RegExp(wanted).test(value));
  const known = set['wellKnown'] as { readonly case?: string; readonly value?: unknown } | undefined;
  if (known?.case === 'wellKnownRegex') {
    // Envoy mostly says `strict: false`: what matters is that nobody smuggles another line in.
    const isStrict = set['strict'] !== false;
    const form = known.value === 1 && isStrict ? /^:?[0-9a-zA-Z!#$%&'*+.^_|~`-]+$/ : /^[^\0\r\n]*$/;
    if (!form.test(value)) problems.push(`${JSON.stringify(value)} is no header`);
  }
  return problems;
}
