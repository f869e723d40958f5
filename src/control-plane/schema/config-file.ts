import { createHash } from 'node:crypto';
import type { ConfigLimits } from './limits.js';
import { locate } from './locate.js';
import type { FieldPath, Origin } from './origin.js';
import { type PlainValue, toValue } from './value.js';
import type { Violation } from './violation.js';
import { type Problem, parseTrees, type Tree } from './yaml.js';

/** The text (or bytes) of one configuration file, as a source supplies it. */
export interface ConfigText {
  /** What the file is called in messages. */
  readonly file: string;
  readonly content: string | Uint8Array;
  /**
   * Set where a program wrote it (see `documentTexts`), and which part of the program's documents it is: complaints tell
   * the document and the field then, as nobody has seen its lines.
   */
  readonly part?: number | undefined;
}

/** A place in a file with what is needed to show it. */
export type Place = Pick<Violation, 'origin' | 'excerpt' | 'length'>;

/** One value of a file's stream of documents: its number in the stream and its plain value. */
export interface FileDocument {
  readonly index: number;
  readonly value: PlainValue;
}

/** One file of configuration: finds the place of any value in it, also long after it was parsed. */
export class ConfigFile {
  readonly name: string;
  readonly text: string;
  /** Tells two contents apart. */
  readonly hash: string;
  readonly #limits: ConfigLimits;
  /** Whether somebody wrote its lines, and may be shown them. */
  readonly #hasLines: boolean;
  /** Whether its lines may hold what nobody is to be shown; also where it is too broken to tell which. */
  readonly #hasSecrets: boolean;
  // Trees are an order of magnitude larger than the text and serve for messages only: let them go, parse again on demand.
  #trees: WeakRef<readonly Tree[]> | undefined;
  #values: WeakRef<ReadonlyMap<number, PlainValue>> | undefined;
  #lineStarts: readonly number[] | undefined;

  constructor(name: string, text: string, limits: ConfigLimits, hasLines = true) {
    this.name = name;
    this.#hasLines = hasLines;
    this.text = text;
    this.hash = createHash('sha256').update(text).digest('base64');
    this.#limits = limits;
    this.#hasSecrets = /\bkind["']?\s*:\s*["']?Secret\b/.test(text);
  }

  /** The values of the documents that are not empty, and what is wrong with the text. */
  read(): { readonly documents: readonly FileDocument[]; readonly violations: readonly Violation[] } {
    const { trees, problems } = parseTrees(this.text, this.#limits);
    this.#trees = new WeakRef(trees);
    const documents: FileDocument[] = [];
    const all = [...problems];
    for (const [index, tree] of trees.entries()) {
      if (tree.errors.length > 0 || tree.warnings.length > 0) continue;
      const converted = toValue(tree, this.#limits);
      all.push(...converted.problems);
      if (converted.value !== undefined && converted.value !== null) {
        documents.push({ index, value: converted.value });
      }
    }
    const violations = all.slice(0, this.#limits.violations).map((problem) => this.#violation(problem));
    return { documents, violations };
  }

  /** The value of a document as it is written; it is read again when it is asked for after long. */
  value(index: number): PlainValue | undefined {
    let values = this.#values?.deref();
    if (values === undefined) {
      values = new Map(this.read().documents.map((one) => [one.index, one.value]));
      this.#values = new WeakRef(values);
    }
    return values.get(index);
  }

  /** Where the value at a path of a document stands (or its key). */
  place(index: number, path: FieldPath, atKey: boolean): Place {
    if (!this.#hasLines) return this.#placeAt(0, 1);
    const tree = this.#parsed()[index];
    if (tree === undefined) return this.#placeAt(0, 1);
    const [start, end] = locate(tree, path, atKey);
    return this.#placeAt(start, end - start);
  }

  #violation(problem: Problem): Violation {
    const { code, message, offset, length } = problem;
    const place = this.#placeAt(offset, length);
    return { code, severity: 'error', message, path: [], resource: undefined, ...place };
  }

  #parsed(): readonly Tree[] {
    const kept = this.#trees?.deref();
    if (kept !== undefined) return kept;
    const { trees } = parseTrees(this.text, this.#limits);
    this.#trees = new WeakRef(trees);
    return trees;
  }

  #placeAt(offset: number, length: number): Place {
    if (!this.#hasLines)
      return { origin: { file: this.name, line: 0, column: 0 }, excerpt: undefined, length: 0 };
    this.#lineStarts ??= lineStartsOf(this.text);
    const starts = this.#lineStarts;
    const line = lineAt(starts, offset);
    const start = starts[line] ?? 0;
    const excerpt = this.text.slice(start, (starts[line + 1] ?? this.text.length + 1) - 1).replace(/\r$/, '');
    const origin: Origin = { file: this.name, line: line + 1, column: offset - start + 1 };
    return {
      origin,
      excerpt: this.#hasSecrets ? undefined : excerpt,
      length: Math.max(1, Math.min(length, excerpt.length - (offset - start))),
    };
  }
}

/** Makes a ConfigFile of bytes, or says why their size or encoding refuses them. */
export function openConfigFile(
  source: ConfigText,
  limits: ConfigLimits,
): { readonly file: ConfigFile } | { readonly violation: Violation } {
  const { file: name, content, part } = source;
  const hasLines = part === undefined;
  const bytes = typeof content === 'string' ? Buffer.byteLength(content) : content.byteLength;
  if (bytes > limits.fileBytes) {
    // Of files no more is read than shows this: how large they are is not known.
    const message = `it has more than the ${limits.fileBytes} bytes that are allowed`;
    return { violation: fileViolation('INMESH_CONFIG_TOO_LARGE', name, message) };
  }
  if (typeof content === 'string') return { file: new ConfigFile(name, content, limits, hasLines) };
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(content);
    return { file: new ConfigFile(name, text, limits, hasLines) };
  } catch {
    return { violation: fileViolation('INMESH_CONFIG_SYNTAX', name, 'the file is not encoded in UTF-8') };
  }
}

/** A complaint about a file as a whole. */
export function fileViolation(code: Violation['code'], file: string, message: string): Violation {
  const origin: Origin = { file, line: 0, column: 0 };
  return {
    code,
    severity: 'error',
    message,
    path: [],
    resource: undefined,
    origin,
    excerpt: undefined,
    length: 0,
  };
}

function lineStartsOf(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** The line (from 0) that holds the offset, by bisection. */
function lineAt(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
