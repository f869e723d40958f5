import type { z } from 'zod';
import { ConfigFile } from '../schema/config-file.js';
import { DEFAULT_LIMITS } from '../schema/limits.js';
import { checkStructure } from '../schema/structure.js';
import type { RuleViolation } from '../schema/violation.js';
import { createReport, type Report } from './report.js';

/** What a text of YAML within a document says. */
export interface Embedded<T> {
  /** Undefined when the text is none, or breaks a rule. */
  readonly value: T | undefined;
  /** Their paths are those within the text. */
  readonly violations: readonly RuleViolation[];
}

/** Reads YAML that stands as a text within a document: by its schema, then by its rules. */
export function readEmbedded<S extends z.ZodType>(
  text: string,
  schema: S,
  check: (value: z.output<S>, report: Report) => void,
): Embedded<z.output<S>> {
  const { documents, violations } = new ConfigFile('', text, DEFAULT_LIMITS).read();
  const { value, violations: wrong } = checkStructure(schema, documents[0]?.value ?? {}, []);
  const found: RuleViolation[] = [...violations, ...wrong];
  if (value === undefined || violations.length > 0) return { value: undefined, violations: found };
  const report = createReport();
  check(value, report);
  const isRefused = report.violations.some(({ severity }) => severity === 'error');
  return { value: isRefused ? undefined : value, violations: report.violations };
}
