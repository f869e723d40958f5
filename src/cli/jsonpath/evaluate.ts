import { counted } from '../../runtime/counted.js';
import {
  type Filter,
  type Operator,
  type Part,
  type Path,
  type Slice,
  type Step,
  type Template,
  templateError,
} from './syntax.js';

/**
 * What a template makes of a value. Fields that are not there are nothing, as kubectl has it by default.
 * @throws MeshError `INMESH_OPTION_INVALID`: an index that is out of bounds, a comparison of what can't be compared.
 */
export function render({ source, parts }: Template, value: unknown): string {
  return parts.map((part) => rendered(part, value, source)).join('');
}

/** Each expression's values as an array of JSON, as kubectl's `jsonpath-as-json`. */
export function renderJson({ source, parts }: Template, value: unknown): string {
  const lists = (all: readonly Part[], from: unknown): readonly string[] =>
    all.flatMap((part) => {
      if (part.type === 'range')
        return valuesAt(part.path, from, source).flatMap((one) => lists(part.body, one));
      const values = part.type === 'text' ? [part.text] : valuesAt(part.path, from, source);
      return `${JSON.stringify(values, undefined, 4)}\n`;
    });
  return lists(parts, value).join('');
}

/** The values that a path leads to. */
export function valuesAt(path: Path, value: unknown, source: string): readonly unknown[] {
  let values: readonly unknown[] = [value];
  let before: Step | undefined;
  for (const step of path) {
    values = next(values, step, before?.type === 'recursive', source);
    before = step;
  }
  return values;
}

/** A value as it is printed: texts as they are, objects and arrays as JSON. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function rendered(part: Part, value: unknown, source: string): string {
  if (part.type === 'text') return part.text;
  const values = valuesAt(part.path, value, source);
  if (part.type === 'values') return values.map(textOf).join(' ');
  return values.map((one) => part.body.map((inner) => rendered(inner, one, source)).join('')).join('');
}

function next(
  values: readonly unknown[],
  step: Step,
  isAnywhere: boolean,
  source: string,
): readonly unknown[] {
  switch (step.type) {
    case 'literal':
      return values.map(() => step.value);
    case 'field':
      return values.flatMap((value) => fieldOf(value, step.name));
    case 'wildcard':
      return values.flatMap(childrenOf);
    case 'recursive':
      return values.flatMap(everywhereIn);
    case 'union':
      return step.branches.flatMap((path) => values.flatMap((value) => valuesAt(path, value, source)));
    case 'slice':
      return values.flatMap((value) => {
        const items = itemsOf(value, step, isAnywhere, source);
        return items === undefined ? [] : sliceOf(items, step.slice, step.at, source);
      });
    case 'filter':
      return values.flatMap((value) => {
        const items = itemsOf(value, step, isAnywhere, source) ?? [];
        return items.filter((item) => passes(item, step.filter, step.at, source));
      });
  }
}

function fieldOf(value: unknown, name: string): readonly unknown[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.hasOwn(value, name) ? [Reflect.get(value, name)] : [];
}

function childrenOf(value: unknown): readonly unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value) : [];
}

function everywhereIn(value: unknown): readonly unknown[] {
  const children = childrenOf(value);
  return children.length === 0 ? [] : [value, ...children.flatMap(everywhereIn)];
}

/** An array's items; undefined = there is nothing, which is no mistake. */
function itemsOf(
  value: unknown,
  { at }: Step,
  isAnywhere: boolean,
  source: string,
): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value;
  if (value === null || isAnywhere) return undefined;
  throw templateError(
    source,
    at,
    `what is there is no array, but ${typeof value === 'object' ? 'an object' : `a ${typeof value}`},`,
    'Indexes and filters are for arrays; name a field instead',
  );
}

function sliceOf(items: readonly unknown[], slice: Slice, at: number, source: string): readonly unknown[] {
  const count = items.length;
  const fromEnd = (index: number) => (index < 0 ? index + count : index);
  const from = fromEnd(slice.from ?? 0);
  const to = slice.isOne ? from + 1 : fromEnd(slice.to ?? count);
  if (from === to) return [];
  if (from < 0 || from >= count || to > count || to < from)
    throw templateError(
      source,
      at,
      `the array has ${counted(count, 'element')}, and none of that index,`,
      'Take [*] for those that are there',
    );
  return items.slice(from, to).filter((_, index) => index % slice.step === 0);
}

function passes(item: unknown, { left, comparison }: Filter, at: number, source: string): boolean {
  const lefts = valuesAt(left, item, source);
  if (comparison === undefined) return lefts.length > 0;
  const rights = valuesAt(comparison.right, item, source);
  // What is not there is like nothing, and not unlike anything either.
  if (lefts.length === 0 || rights.length === 0) return false;
  if (lefts.length > 1 || rights.length > 1)
    throw templateError(
      source,
      at,
      'several values are compared at once',
      'Compare one field: [?(@.name=="a")]',
    );
  const [a, b] = [lefts[0], rights[0]];
  const held = compared(a, b, comparison.operator);
  if (held !== undefined) return held;
  throw templateError(
    source,
    at,
    `${JSON.stringify(a)} and ${JSON.stringify(b)} can't be compared by ${comparison.operator}`,
    'Texts stand in quotes, numbers without',
  );
}

/** Undefined = these have no order, or are of different types. */
function compared(a: unknown, b: unknown, operator: Operator): boolean | undefined {
  if (typeof a === 'boolean' && typeof b === 'boolean') {
    if (operator === '==') return a === b;
    return operator === '!=' ? a !== b : undefined;
  }
  if (typeof a === 'string' && typeof b === 'string') return holds(a, b, operator);
  return typeof a === 'number' && typeof b === 'number' ? holds(a, b, operator) : undefined;
}

function holds<T extends string | number>(a: T, b: T, operator: Operator): boolean {
  switch (operator) {
    case '==':
      return a === b;
    case '!=':
      return a !== b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
  }
}
