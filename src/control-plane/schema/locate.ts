import { isAlias, isMap, isSeq, type Pair, type YAMLMap } from 'yaml';
import type { FieldPath } from './origin.js';
import { toCamelCase } from './structure.js';
import { keyOf, rangeOf } from './value.js';
import type { Tree } from './yaml.js';

/** Start and end in the text of the value at a path (or of its key), or of the deepest part of the path that exists. */
export function locate(tree: Tree, path: FieldPath, atKey: boolean): readonly [number, number] {
  let node: unknown = tree.contents;
  let found = rangeOf(node) ?? [0, 0];
  for (const [index, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(tree);
    const pair = isMap(node) ? pairOf(node, step) : undefined;
    if (isMap(node) && pair === undefined) return found;
    const next = pair === undefined ? itemOf(node, step) : pair.value;
    const isLast = index === path.length - 1;
    const range =
      pair !== undefined && ((isLast && atKey) || next === null) ? rangeOf(pair.key) : rangeOf(next);
    if (range === undefined) return found;
    found = range;
    node = next;
  }
  return found;
}

function pairOf(map: YAMLMap, step: string | number): Pair | undefined {
  const name = String(step);
  return (
    map.items.find((pair) => keyOf(pair) === name) ??
    map.items.find((pair) => toCamelCase(keyOf(pair) ?? '') === name)
  );
}

function itemOf(node: unknown, step: string | number): unknown {
  return isSeq(node) && typeof step === 'number' ? node.items[step] : undefined;
}
