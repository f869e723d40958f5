import { z } from 'zod';
import type { FieldPath } from './origin.js';
import { suggest } from './suggest.js';
import { isPlainObject, type PlainValue } from './value.js';
import type { RuleViolation } from './violation.js';

/** A value that fits its schema, or what does not fit. */
export type Checked<T> =
  | { readonly value: T; readonly violations: readonly [] }
  | { readonly value: undefined; readonly violations: readonly RuleViolation[] };

/** `connect_timeout` as `connectTimeout` (protobuf's JSON mapping accepts both names of a field). */
export function toCamelCase(name: string): string {
  return name.replaceAll(/_+([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * Checks a plain value against a schema. Fields may have their protobuf names, and null means "not set", as in
 * protobuf's JSON mapping. Every complaint carries the path of the value it is about.
 */
export function checkStructure<S extends z.ZodType>(
  schema: S,
  input: PlainValue,
  path: FieldPath,
): Checked<z.output<S>> {
  const violations: RuleViolation[] = [];
  const canonical = canonicalize(schema, input, path, violations);
  const parsed = schema.safeParse(canonical);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) violations.push(fromIssue(issue, canonical, path));
  }
  if (!parsed.success || violations.length > 0) return { value: undefined, violations };
  return { value: parsed.data, violations: [] };
}

/** Gives fields their canonical names, drops nulls, and takes out (and reports) fields that the schema does not know. */
function canonicalize(
  schema: z.core.$ZodType,
  value: PlainValue,
  path: FieldPath,
  violations: RuleViolation[],
): PlainValue {
  const inner = unwrap(schema);
  if (Array.isArray(value) && inner instanceof z.ZodArray) {
    return value.map((item: PlainValue, index) =>
      canonicalize(inner.element, item, [...path, index], violations),
    );
  }
  if (!isPlainObject(value)) return value;
  // Object.create is typed any; the object gets plain values only.
  const result = Object.create(null) as Record<string, PlainValue>;
  for (const [key, item] of Object.entries(value)) {
    const known = fieldOf(inner, key);
    const at = [...path, known?.name ?? key];
    if (known === undefined) violations.push(unknownField(inner, key, at));
    else if (known.name in result) violations.push(duplicateField(known.name, at));
    else if (item !== null) result[known.name] = canonicalize(known.schema, item, at, violations);
    else if (isMapOfMessages(inner)) result[known.name] = null;
  }
  return result;
}

/** Protobuf's JSON mapping: a field may be null for not being set, an entry of a map of messages may not. */
function isMapOfMessages(schema: z.core.$ZodType): boolean {
  return schema instanceof z.ZodRecord && unwrap(schema.valueType) instanceof z.ZodObject;
}

interface Field {
  readonly name: string;
  readonly schema: z.core.$ZodType;
}

function fieldOf(schema: z.core.$ZodType, key: string): Field | undefined {
  if (schema instanceof z.ZodRecord) return { name: key, schema: schema.valueType };
  // A schema that is no object says itself that it wants none; an open object takes every field.
  if (!(schema instanceof z.ZodObject)) return { name: key, schema: z.unknown() };
  for (const name of [key, toCamelCase(key)]) {
    const field: z.core.$ZodType | undefined = Object.hasOwn(schema.shape, name)
      ? schema.shape[name]
      : undefined;
    if (field !== undefined) return { name, schema: field };
  }
  return isStrict(schema) ? undefined : { name: key, schema: z.unknown() };
}

function isStrict(schema: z.ZodObject): boolean {
  return schema.def.catchall instanceof z.ZodNever;
}

/** The schema below what only adds to it: optional, a default, a refinement, a transformation. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable) {
    return unwrap(schema.def.innerType);
  }
  if (schema instanceof z.ZodPipe) return unwrap(schema.def.in);
  return schema;
}

function unknownField(schema: z.core.$ZodType, key: string, path: FieldPath): RuleViolation {
  const names = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  const suggestion = suggest(toCamelCase(key), names);
  const known = suggestion === undefined && names.length <= 12 ? `; known here: ${names.join(', ')}` : '';
  return {
    code: 'INMESH_CONFIG_UNKNOWN_FIELD',
    severity: 'error',
    message: `unknown field ${JSON.stringify(key.slice(0, 80))}${known}`,
    path,
    atKey: true,
    suggestion,
  };
}

function duplicateField(name: string, path: FieldPath): RuleViolation {
  const message = `the field ${name} is given under both of its names`;
  return { code: 'INMESH_CONFIG_INVALID', severity: 'error', message, path, atKey: true };
}

function fromIssue(issue: z.core.$ZodIssue, root: PlainValue, prefix: FieldPath): RuleViolation {
  const steps = issue.path.filter((step) => typeof step !== 'symbol');
  const path = [...prefix, ...steps];
  const value = valueAt(root, steps);
  return {
    code: 'INMESH_CONFIG_INVALID',
    severity: 'error',
    message: `${nameOf(path)} ${describe(issue, value)}`,
    path,
    suggestion: suggestionFor(issue, value),
  };
}

function nameOf(path: FieldPath): string {
  const last = path.findLastIndex((step) => typeof step === 'string');
  if (last < 0) return 'the document';
  const indexes = path.slice(last + 1).map((index) => `[${index}]`);
  return `${path[last]}${indexes.join('')}`;
}

function valueAt(root: PlainValue, path: FieldPath): PlainValue | undefined {
  let value: PlainValue | undefined = root;
  for (const step of path) {
    // A step of a path into this very value: a number for an array, a name for an object.
    value = Array.isArray(value)
      ? value[Number(step)]
      : isPlainObject(value)
        ? value[String(step)]
        : undefined;
  }
  return value;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
};

function describe(issue: z.core.$ZodIssue, value: PlainValue | undefined): string {
  switch (issue.code) {
    case 'invalid_type':
      if (value === undefined) return 'is required';
      return `must be ${TYPE_NAMES[issue.expected] ?? issue.expected}, not ${show(value)}`;
    case 'invalid_value':
      return `must be one of ${issue.values.join(', ')}, not ${show(value)}`;
    case 'too_small':
      return `must be at least ${issue.minimum}, not ${show(value)}`;
    case 'too_big':
      if (issue.origin === 'array') return `must have at most ${issue.maximum} entries`;
      return `must be at most ${issue.maximum}, not ${show(value)}`;
    case 'invalid_union':
      return `must not be ${show(value)}`;
    default:
      return issue.message;
  }
}

function suggestionFor(issue: z.core.$ZodIssue, value: PlainValue | undefined): string | undefined {
  if (issue.code !== 'invalid_value' || typeof value !== 'string') return undefined;
  return suggest(value, issue.values.map(String));
}

function show(value: PlainValue | undefined): string {
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  return JSON.stringify(typeof value === 'string' ? value.slice(0, 80) : value);
}
