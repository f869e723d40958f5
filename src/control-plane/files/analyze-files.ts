import { systemClock } from '../../runtime/clock.js';
import { type AnalysisOptions, analyze } from '../analysis/analyze.js';
import type { Finding } from '../analysis/finding.js';
import { readForAnalysis } from '../analysis/read.js';
import type { ConfigInput } from '../documents/file-reader.js';
import { DEFAULT_LIMITS } from '../schema/limits.js';
import type { Violation } from '../schema/violation.js';
import { readFiles } from '../sources/read-files.js';

/** How documents are analyzed; the time is that of the system unless it is given. */
export type AnalyzeOptions = Partial<AnalysisOptions>;

/** What the analysis of files found. */
export interface AnalyzedFiles {
  readonly findings: readonly Finding[];
  /** What could not be read: files that are not there. */
  readonly unread: readonly Violation[];
  /** How many documents there were. */
  readonly documents: number;
}

/** Analyzes the documents in files and folders: what one says that another does not bear out. */
export async function analyzeFiles(
  paths: readonly string[],
  options: AnalyzeOptions = {},
): Promise<AnalyzedFiles> {
  const { files, violations } = await readFiles(paths, DEFAULT_LIMITS);
  const input = readForAnalysis({ files }, DEFAULT_LIMITS);
  return {
    findings: analyze(input, withTime(options)),
    unread: violations,
    documents: input.documents.length,
  };
}

/** Analyzes documents by their texts. Pure but for the time, where none is given. */
export function analyzeDocuments(input: ConfigInput, options: AnalyzeOptions = {}): readonly Finding[] {
  return analyze(readForAnalysis(input, DEFAULT_LIMITS), withTime(options));
}

function withTime(options: AnalyzeOptions): AnalysisOptions {
  return { now: systemClock.wallTime(), ...options };
}
