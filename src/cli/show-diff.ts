import type { DiffOptions } from './diff-options.js';
import { lineDiff } from './line-diff.js';
import { yamlOf } from './objects.js';
import type { Output } from './output.js';
import type { PreviewBody } from './preview.js';

/** One object that is different. */
export interface Difference {
  readonly op: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly before?: object;
  readonly after?: object;
}

/** Prints differences, and what they would come to. */
export async function showDiff(
  changes: readonly Difference[],
  preview: PreviewBody | undefined,
  format: DiffOptions['format'],
  output: Output,
): Promise<void> {
  if (format === 'json' || format === 'yaml') {
    const { profiles, requests } = preview ?? {};
    const value = { changes, ...(preview !== undefined && { profiles, requests }) };
    output.out(format === 'json' ? `${JSON.stringify(value, undefined, 2)}\n` : await yamlOf([value]));
    return;
  }
  for (const one of changes)
    output.out(format === 'name' ? `${one.kind.toLowerCase()}/${one.name}\n` : await textOf(one));
  if (preview !== undefined) output.out(previewText(preview));
}

async function textOf({ op, kind, namespace, name, before, after }: Difference): Promise<string> {
  const yaml = (one: object | undefined) => (one === undefined ? '' : yamlOf([sorted(one) as object]));
  return `${op} ${kind} ${namespace}/${name}\n${lineDiff(await yaml(before), await yaml(after))}`;
}

function previewText({ profiles, requests }: PreviewBody): string {
  const resources = profiles.flatMap(({ profile, types }) =>
    types.flatMap(({ type, added, changed, removed }) => [
      ...added.map((name) => `+ ${profile} ${type} ${name}\n`),
      ...changed.map((name) => `~ ${profile} ${type} ${name}\n`),
      ...removed.map((name) => `- ${profile} ${type} ${name}\n`),
    ]),
  );
  const told = requests.map(
    ({ method, url, before, after }) =>
      `request ${method} ${url}\n  before ${JSON.stringify(before)}\n  after  ${JSON.stringify(after)}\n`,
  );
  return [...resources, ...told].join('');
}

/** A value with its fields in one order. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, part]) => [key, sorted(part)]),
  );
}
