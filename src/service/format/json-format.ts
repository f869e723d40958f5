import { compileFormat } from './format.js';
import type { FormatInput, FormatTools } from './input.js';

/** A JSON document whose strings are format strings. */
export type JsonTemplate =
  | null
  | boolean
  | number
  | string
  | readonly JsonTemplate[]
  | { readonly [key: string]: JsonTemplate };

type Node = (input: FormatInput) => unknown;

/**
 * Compiles a JSON log format. A string that is one operator keeps the operator's type; a missing value is null, or, with
 * `omitEmptyValues`, its key is left out.
 */
export function compileJsonFormat(
  template: { readonly [key: string]: JsonTemplate },
  tools: FormatTools,
  omitEmptyValues = false,
): (input: FormatInput) => string {
  const node = compileNode(template, tools, omitEmptyValues);
  return (input) => JSON.stringify(node(input) ?? {});
}

function compileNode(template: JsonTemplate, tools: FormatTools, omit: boolean): Node {
  if (typeof template === 'string') return compileString(template, tools, omit);
  if (typeof template !== 'object' || template === null) return () => template;
  if (isList(template)) {
    const nodes = template.map((one) => compileNode(one, tools, omit));
    return (input) => nodes.map((node) => node(input) ?? null).filter((value) => !omit || value !== null);
  }
  const entries = Object.entries(template).map(([key, one]) => [key, compileNode(one, tools, omit)] as const);
  return (input) => {
    const out: Record<string, unknown> = {};
    for (const [key, node] of entries) {
      const value = node(input) ?? null;
      if (omit && value === null) continue;
      if (key === '__proto__') Object.defineProperty(out, key, { value, enumerable: true });
      else out[key] = value;
    }
    return out;
  };
}

function compileString(template: string, tools: FormatTools, omit: boolean): Node {
  const format = compileFormat(template, tools, omit ? '' : '-');
  return format.constant === undefined ? format.typed : format.text;
}

function isList(value: object): value is readonly JsonTemplate[] {
  return Array.isArray(value);
}
