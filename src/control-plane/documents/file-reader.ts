import { type ConfigText, fileViolation, openConfigFile } from '../schema/config-file.js';
import type { ConfigLimits } from '../schema/limits.js';
import type { Violation } from '../schema/violation.js';
import { type ConfigDocument, type FileContent, readDocuments } from './document.js';
import { Places } from './places.js';

/** Everything that one source has: all of its files, and what it could not read. */
export interface ConfigInput {
  readonly files: readonly ConfigText[];
  readonly violations?: readonly Violation[] | undefined;
}

/** The content of all sources together. */
export interface SourcesContent {
  /** Oldest first: by `creationTimestamp`, else by source, then by file, then as they stand in it. */
  readonly documents: readonly ConfigDocument[];
  readonly violations: readonly Violation[];
  /** Equal for equal texts. */
  readonly fingerprint: string;
}

/** Reads the content of sources, and a text that has not changed only once. */
export type FileReader = (sources: Iterable<readonly [string, ConfigInput]>) => SourcesContent;

interface KnownFile extends FileContent {
  readonly content: ConfigText['content'];
  readonly hash: string;
}

/** Makes a reader that remembers the files of its last run. */
export function createFileReader(limits: ConfigLimits): FileReader {
  let known: ReadonlyMap<string, KnownFile> = new Map();
  const places = new Places();
  const read = (key: string, text: ConfigText): KnownFile => {
    const before = known.get(key);
    if (before !== undefined && isSameText(before.content, text.content)) return before;
    const { content } = text;
    const opened = openConfigFile(text, limits);
    if ('violation' in opened) return { content, hash: '', documents: [], violations: [opened.violation] };
    const { hash } = opened.file;
    const { documents, violations } = readDocuments(opened.file, limits.violations);
    return { content, hash, documents: places.follow(before?.documents ?? [], documents), violations };
  };
  return (sources) => {
    const files = new Map<string, KnownFile>();
    const documents: ConfigDocument[] = [];
    const violations: Violation[] = [];
    let bytes = 0;
    for (const [source, input] of sources) {
      violations.push(...(input.violations ?? []));
      for (const text of input.files) {
        bytes += sizeOf(text);
        if (bytes > limits.totalBytes) {
          const message = `all files together have more than ${limits.totalBytes} bytes`;
          violations.push(fileViolation('INMESH_CONFIG_TOO_LARGE', text.file, message));
          break;
        }
        const key = `${source}\n${text.file}${text.part === undefined ? '' : `\n${text.part}`}`;
        const content = read(key, text);
        files.set(key, content);
        for (const document of content.documents) documents.push(document);
        violations.push(...content.violations);
      }
    }
    known = files;
    const fingerprint = JSON.stringify([...files].map(([key, file]) => [key, file.hash]));
    return { documents: places.place(oldestFirst(documents)), violations, fingerprint };
  };
}

/**
 * Documents that tell when they were made come in that order (Istio: those of equal age by name, then by namespace), after
 * those that do not, which stay as they were loaded.
 */
function oldestFirst(documents: readonly ConfigDocument[]): readonly ConfigDocument[] {
  const dated = documents.filter(({ createdMs }) => createdMs !== undefined);
  if (dated.length === 0) return documents;
  const key = ({ name, namespace }: ConfigDocument) => `${name}.${namespace}`;
  const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  dated.sort((a, b) => (a.createdMs ?? 0) - (b.createdMs ?? 0) || byName(key(a), key(b)));
  return [...documents.filter(({ createdMs }) => createdMs === undefined), ...dated];
}

function isSameText(left: ConfigText['content'], right: ConfigText['content']): boolean {
  if (typeof left === 'string' || typeof right === 'string') return left === right;
  return left.byteLength === right.byteLength && Buffer.compare(left, right) === 0;
}

function sizeOf({ content }: ConfigText): number {
  return typeof content === 'string' ? Buffer.byteLength(content) : content.byteLength;
}
