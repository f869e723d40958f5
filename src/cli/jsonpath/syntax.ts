import { MeshError } from '../../runtime/errors.js';

/** A step of an expression: from values to other values. */
export type Step = { readonly at: number } & (
  | { readonly type: 'field'; readonly name: string }
  | { readonly type: 'wildcard' }
  | { readonly type: 'recursive' }
  | { readonly type: 'slice'; readonly slice: Slice }
  | { readonly type: 'union'; readonly branches: readonly Path[] }
  | { readonly type: 'filter'; readonly filter: Filter }
  | { readonly type: 'literal'; readonly value: string | number | boolean }
);

export type Path = readonly Step[];

/** `[from:to:step]`; `[n]` is one element, from the end when it is negative. */
export interface Slice {
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly step: number;
  readonly isOne: boolean;
}

export type Operator = '==' | '!=' | '<' | '<=' | '>' | '>=';

/** `[?(left operator right)]`; without an operator: `left` is there. */
export interface Filter {
  readonly left: Path;
  readonly comparison?: { readonly operator: Operator; readonly right: Path };
}

/** A part of a template, in the order in which it is printed. */
export type Part =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'values'; readonly path: Path }
  | { readonly type: 'range'; readonly path: Path; readonly body: readonly Part[] };

/** A template with the text that it was read from, for complaints. */
export interface Template {
  readonly source: string;
  readonly parts: readonly Part[];
}

/** A complaint about a template, with the place that is meant. */
export function templateError(source: string, at: number, what: string, hint: string): MeshError {
  const rest = source.slice(at, at + 20);
  const where = rest === '' ? 'at its end' : `at character ${at + 1}, before ${JSON.stringify(rest)}`;
  return new MeshError('INMESH_OPTION_INVALID', `${what} ${where}`, { resource: source, hint });
}
