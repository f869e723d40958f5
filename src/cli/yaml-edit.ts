import {
  isMap,
  isScalar,
  isSeq,
  type Pair,
  parseAllDocuments,
  stringify,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import type { FieldEdit } from './edit.js';

/** A part of a text that another takes the place of. */
interface Splice {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

type Path = FieldEdit['path'];

/**
 * A text of YAML with one field of one of its documents set, or taken away (undefined). Everything else stays letter by
 * letter: comments, quotes, order, what is written in one line. Undefined when that can not be done by changing the lines
 * of the field alone.
 */
export function withFieldText(text: string, index: number, { path, value }: FieldEdit): string | undefined {
  const document = documentsOf(text)[index];
  if (document === undefined) return undefined;
  const splice = spliceAt({ text, node: document.contents, path, value });
  if (splice === undefined) return undefined;
  const own = text.includes('\r\n') ? splice.text.replaceAll('\n', '\r\n') : splice.text;
  return text.slice(0, splice.from) + own + text.slice(splice.to);
}

/** The documents of a text, as the parser has them. */
export function documentsOf(text: string) {
  const documents = parseAllDocuments(text);
  return Array.isArray(documents) ? documents : [];
}

interface Edit {
  readonly text: string;
  readonly node: unknown;
  readonly path: Path;
  readonly value: unknown;
}

function spliceAt(edit: Edit): Splice | undefined {
  const { node, path, value } = edit;
  const [step, ...rest] = path;
  if (step === undefined) return undefined;
  if (isMap(node)) return node.flow === true ? inFlow(edit) : inMap(edit, node, [String(step), rest]);
  if (isSeq(node) && typeof step === 'number') {
    if (node.flow === true) return inFlow(edit);
    const item = node.items[step];
    if (item !== undefined)
      return rest.length === 0 ? undefined : spliceAt({ ...edit, node: item, path: rest });
    return value === undefined ? undefined : appended(edit.text, node, nested(rest, value));
  }
  return undefined;
}

/** Within what is written in one line a value may only take the place of another. */
function inFlow({ node, path, value }: Edit): Splice | undefined {
  let at = node;
  for (const step of path) {
    if (isMap(at)) at = at.items.find((pair) => keyOf(pair) === String(step))?.value;
    else at = isSeq(at) && typeof step === 'number' ? at.items[step] : undefined;
  }
  const range = rangeOf(at);
  if (!isScalar(at) || range === undefined || typeof value === 'object' || value === undefined)
    return undefined;
  return { from: range[0], to: range[1], text: stringify(value).trimEnd() };
}

function inMap(edit: Edit, map: YAMLMap, [key, rest]: readonly [string, Path]): Splice | undefined {
  const { text, value } = edit;
  const pair = map.items.find((one) => keyOf(one) === key);
  if (pair === undefined)
    return value === undefined ? undefined : inserted(text, map, [key, nested(rest, value)]);
  if (rest.length > 0) {
    const deeper = spliceAt({ ...edit, node: pair.value, path: rest });
    if (deeper !== undefined) return deeper;
    // Written in one line, or empty: it is written anew, as far as it has to be.
    const old: unknown = plainOf(pair.value);
    const changed = withValue(old ?? undefined, rest, value);
    return replaced(text, pair, changed);
  }
  return value === undefined ? removed(text, map, pair) : replaced(text, pair, value);
}

function plainOf(node: unknown): unknown {
  if (isMap(node) || isSeq(node) || isScalar(node)) return JSON.parse(JSON.stringify(node));
  return undefined;
}

function withValue(value: unknown, [step, ...rest]: Path, wanted: unknown): unknown {
  if (step === undefined) return wanted;
  if (typeof step === 'number') {
    const list: unknown[] = Array.isArray(value) ? [...value] : [];
    list[step] = withValue(list[step], rest, wanted);
    return list;
  }
  const { [step]: old, ...others } =
    typeof value === 'object' && value !== null
      ? { ...value, [step]: Reflect.get(value, step) }
      : { [step]: undefined };
  if (rest.length === 0 && wanted === undefined) return others;
  // What is there keeps its place.
  const base = typeof value === 'object' && value !== null ? value : {};
  return { ...base, [step]: withValue(old, rest, wanted) };
}

function nested(path: Path, value: unknown): unknown {
  return path.length === 0 ? value : withValue(undefined, path, value);
}

function replaced(text: string, pair: Pair, value: unknown): Splice | undefined {
  const key = rangeOf(pair.key);
  if (key === undefined) return undefined;
  const old = rangeOf(pair.value);
  const colon = text.indexOf(':', key[1]);
  if (colon < 0) return undefined;
  const isOldScalar = isScalar(pair.value) && old !== undefined && old[1] > old[0];
  if (isOldScalar && typeof value !== 'object')
    return { from: old[0], to: old[1], text: stringify(value, { lineWidth: 0 }).trimEnd() };
  // The comment behind a value of several lines belongs to what is replaced.
  const to = lineEnd(text, contentEnd(pair.value) ?? colon + 1);
  const written = stringify({ x: value }, { lineWidth: 0 }).trimEnd().slice(2);
  return { from: colon + 1, to, text: indented(written, columnOf(text, key[0])) };
}

function inserted(text: string, map: YAMLMap, [key, value]: readonly [string, unknown]): Splice | undefined {
  const last = map.items.at(-1);
  const start = rangeOf(last?.key);
  if (last === undefined || start === undefined) return undefined;
  const at = lineEnd(text, contentEnd(last.value) ?? start[1]);
  const written = stringify({ [key]: value }, { lineWidth: 0 }).trimEnd();
  const column = columnOf(text, start[0]);
  return { from: at, to: at, text: `\n${' '.repeat(column)}${indented(written, column)}` };
}

function appended(text: string, seq: YAMLSeq, value: unknown): Splice | undefined {
  const last = seq.items.at(-1);
  const start = rangeOf(last);
  const end = contentEnd(last);
  if (start === undefined || end === undefined) return undefined;
  const before = text.slice(lineStart(text, start[0]), start[0]);
  // Where several dashes stand in one line its beginning does not tell whose column it is.
  if (!/^ *- +$/.test(before)) return undefined;
  const column = before.indexOf('-');
  const at = lineEnd(text, end);
  const written = stringify([value], { lineWidth: 0 }).trimEnd();
  return { from: at, to: at, text: `\n${' '.repeat(column)}${indented(written, column)}` };
}

function removed(text: string, map: YAMLMap, pair: Pair): Splice | undefined {
  const start = rangeOf(pair.key);
  if (start === undefined || map.items.length < 2) return undefined;
  const from = lineStart(text, start[0]);
  const end = lineEnd(text, contentEnd(pair.value) ?? start[1]);
  if (text.slice(from, start[0]).trim() === '') return { from, to: Math.min(end + 1, text.length), text: '' };
  // The first of an item, behind its dash: the next takes its place there.
  const next = rangeOf(map.items[1]?.key);
  return pair === map.items[0] && next !== undefined ? { from: start[0], to: next[0], text: '' } : undefined;
}

function keyOf(pair: Pair): string | undefined {
  return isScalar(pair.key) ? String(pair.key.value) : undefined;
}

function rangeOf(node: unknown): readonly [number, number] | undefined {
  if (!isMap(node) && !isSeq(node) && !isScalar(node)) return undefined;
  const { range } = node;
  return range === undefined || range === null ? undefined : [range[0], range[1]];
}

/** Where what a value says ends: a collection's range also covers comments that follow it. */
function contentEnd(node: unknown): number | undefined {
  if (isMap(node) && node.flow !== true) {
    const last = node.items.at(-1);
    return contentEnd(last?.value) ?? rangeOf(last?.key)?.[1];
  }
  if (isSeq(node) && node.flow !== true) return contentEnd(node.items.at(-1));
  const range = rangeOf(node);
  return range === undefined || range[1] <= range[0] ? undefined : range[1];
}

function lineStart(text: string, at: number): number {
  return text.lastIndexOf('\n', at - 1) + 1;
}

/** Where the line ends, before its break. A block of text ends with one. */
function lineEnd(text: string, at: number): number {
  const from = text[at - 1] === '\n' ? at - 1 : at;
  const end = text.indexOf('\n', from);
  const to = end < 0 ? text.length : end;
  return text[to - 1] === '\r' ? to - 1 : to;
}

function columnOf(text: string, at: number): number {
  return at - lineStart(text, at);
}

function indented(text: string, column: number): string {
  return text.replaceAll(/\n(?=.)/g, `\n${' '.repeat(column)}`);
}
