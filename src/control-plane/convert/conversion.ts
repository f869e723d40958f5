import type { ConfigView, Document } from '../kinds/view.js';

/** A document as it is written: names of fields, texts and numbers. */
export interface WrittenDocument {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** What a conversion comes to. */
export interface Conversion {
  readonly documents: readonly WrittenDocument[];
  /** What has no equal on the other side, one sentence each, with the document that it is about. */
  readonly losses: readonly string[];
}

/** What a conversion is made with. */
export interface Converting {
  readonly view: ConfigView;
  readonly documents: WrittenDocument[];
  /** Notes that something of a document has no equal. */
  lose(document: Document, what: string): void;
}

/** Runs a conversion. */
export function converted(view: ConfigView, run: (converting: Converting) => void): Conversion {
  const documents: WrittenDocument[] = [];
  const losses: string[] = [];
  const known = new Set<string>();
  const lose: Converting['lose'] = ({ kind, namespace, name }, what) => {
    const text = `${kind.split('.')[0]} ${namespace}/${name}: ${what}`;
    if (!known.has(text)) losses.push(text);
    known.add(text);
  };
  run({ view, documents, lose });
  return { documents, losses };
}

/** A duration as both sides write it; undefined stays so. */
export function durationText(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined;
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

/** An object without the fields that are undefined or empty lists. */
export function given(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0),
    ),
  );
}
