import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import type { MeshErrorCode } from '../../runtime/errors.js';
import type { ConfigLimits } from './limits.js';
import type { Problem, Tree } from './yaml.js';

/** A plain value: null, a string, a number, a boolean, an array, or an object without a prototype. */
export type PlainValue = null | string | number | boolean | readonly PlainValue[] | PlainObject;

/** An object without a prototype, so that no key means more than the document says. */
export interface PlainObject {
  readonly [key: string]: PlainValue;
}

/** Whether a value is an object with named fields. */
export function isPlainObject(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The plain value of a YAML document, or undefined and what is wrong with it. */
export function toValue(
  tree: Tree,
  limits: ConfigLimits,
): { readonly value: PlainValue | undefined; readonly problems: readonly Problem[] } {
  const conversion = new Conversion(tree, limits);
  const value = conversion.value(tree.contents, 0);
  return { value: conversion.problems.length > 0 ? undefined : value, problems: conversion.problems };
}

/** One walk through a tree, counting what it costs. */
class Conversion {
  readonly problems: Problem[] = [];
  readonly #tree: Tree;
  readonly #limits: ConfigLimits;
  /** Anchors whose aliases are being written out: an alias to one of them is a cycle. */
  readonly #open = new Set<Node>();
  #values = 0;
  #aliases = 0;
  #isStopped = false;

  constructor(tree: Tree, limits: ConfigLimits) {
    this.#tree = tree;
    this.#limits = limits;
  }

  value(node: unknown, depth: number): PlainValue {
    if (this.#isStopped || node === null || node === undefined) return null;
    if (++this.#values > this.#limits.values)
      return this.#stop(`more than ${this.#limits.values} values`, node);
    if (depth > this.#limits.depth)
      return this.#stop(`nested deeper than ${this.#limits.depth} levels`, node);
    if (isScalar(node)) return this.#scalar(node);
    if (isAlias(node)) return this.#alias(node, depth);
    if (!isMap(node) && !isSeq(node)) return this.#refuse('this is no YAML value', node);
    this.#open.add(node);
    const result = isMap(node)
      ? this.#map(node, depth)
      : node.items.map((item) => this.value(item, depth + 1));
    this.#open.delete(node);
    return result;
  }

  #scalar(node: Scalar): PlainValue {
    const { value } = node;
    if (typeof value === 'number') {
      const isExact = Number.isSafeInteger(value) || !/^[-+\d]+$/.test(node.source ?? '');
      if (!isExact || !Number.isFinite(value))
        return this.#refuse(`the number ${node.source} is too large`, node);
      return value;
    }
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
    return this.#refuse('this value is neither text, number nor truth value', node);
  }

  #alias(node: Alias, depth: number): PlainValue {
    if (++this.#aliases > this.#limits.aliases)
      return this.#stop(`more than ${this.#limits.aliases} aliases`, node);
    const target = node.resolve(this.#tree);
    if (target === undefined) return this.#refuse(`the alias *${node.source} has no anchor before it`, node);
    if (this.#open.has(target)) return this.#refuse(`the alias *${node.source} contains itself`, node);
    return this.value(target, depth + 1);
  }

  #map(node: YAMLMap, depth: number): PlainObject {
    // Object.create is typed any; the object gets plain values only.
    const result = Object.create(null) as Record<string, PlainValue>;
    for (const pair of node.items) {
      const key = this.#key(pair, node);
      if (key === undefined) continue;
      if (key in result) this.#refuse(`the key ${JSON.stringify(key)} appears twice`, pair.key);
      else result[key] = this.value(pair.value, depth + 1);
    }
    return result;
  }

  #key(pair: Pair, parent: Node): string | undefined {
    const key = keyOf(pair);
    if (key === undefined) this.#refuse('a key must be plain text', pair.key ?? parent);
    else if (key === '__proto__') this.#refuse('the key "__proto__" is not allowed', pair.key);
    else return key;
    return undefined;
  }

  #stop(message: string, node: unknown): null {
    this.#isStopped = true;
    return this.#refuse(message, node, 'INMESH_CONFIG_TOO_LARGE');
  }

  #refuse(message: string, node: unknown, code: MeshErrorCode = 'INMESH_CONFIG_SYNTAX'): null {
    if (this.problems.length >= this.#limits.violations) return null;
    const [offset, end] = rangeOf(node) ?? [0, 1];
    this.problems.push({ code, message, offset, length: Math.max(1, end - offset) });
    return null;
  }
}

/** The text of a map's key as it is written; undefined when the key is not plain. */
export function keyOf(pair: Pair): string | undefined {
  if (!isScalar(pair.key) || pair.key.value === null) return undefined;
  const { value, source } = pair.key;
  return typeof value === 'string' ? value : (source ?? JSON.stringify(value));
}

/** Start and end of a node in its text. */
export function rangeOf(node: unknown): readonly [number, number] | undefined {
  // Every node of a parsed tree has a range; only its type says that it may not.
  const range = (node as Node | null | undefined)?.range;
  return range === null || range === undefined ? undefined : [range[0], range[1]];
}
