import { checkDocuments, soften } from '../documents/check.js';
import { createView } from '../documents/config-view.js';
import { type ConfigInput, createFileReader } from '../documents/file-reader.js';
import { DEFAULT_LIMITS } from '../schema/limits.js';
import type { Violation } from '../schema/violation.js';
import { readFiles } from '../sources/read-files.js';

/** How documents are validated. */
export interface ValidateOptions {
  /**
   * Whether what a control plane of inmesh refuses counts as an error, too: fields and kinds that are not carried out,
   * and references to what is not among the documents. Default false: each document by itself, as Istio's webhook.
   */
  readonly strict?: boolean | undefined;
}

/** What the validation of files found. */
export interface ValidatedFiles {
  /** Everything wrong or odd, in the order of the files. */
  readonly violations: readonly Violation[];
  /** What could not be read: files that are not there. */
  readonly unread: readonly Violation[];
  /** How many documents there were that are read. */
  readonly documents: number;
}

/** Validates the documents in files and folders. */
export async function validateFiles(
  paths: readonly string[],
  options: ValidateOptions = {},
): Promise<ValidatedFiles> {
  const { files, violations } = await readFiles(paths, DEFAULT_LIMITS);
  return { ...validateDocuments({ files }, options), unread: violations };
}

/** Validates documents by their texts. */
export function validateDocuments(
  input: ConfigInput,
  { strict = false }: ValidateOptions = {},
): Omit<ValidatedFiles, 'unread'> {
  const read = createFileReader(DEFAULT_LIMITS)([['documents', input]]);
  const view = createView(1, read.documents);
  const found = [...read.violations, ...checkDocuments(read.documents, view, false)];
  const violations = strict ? found : softened(found);
  return { violations, documents: read.documents.length };
}

/** Violations as they are of documents each by itself. */
export function softened(violations: readonly Violation[]): readonly Violation[] {
  return violations.flatMap(alone);
}

/** What does not break a rule of Istio is a warning, and what other documents may bear out is left to analysis. */
function alone(violation: Violation): readonly Violation[] {
  return violation.code === 'INMESH_CONFIG_REFERENCE' ? [] : [soften(violation)];
}
