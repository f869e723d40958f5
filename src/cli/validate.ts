import { formatViolation, validateFiles } from '../control-plane.js';
import { counted } from '../runtime/counted.js';
import type { Output } from './output.js';
import { print } from './print.js';
import { violationJson } from './tell-invalid.js';

/** What `inmesh validate` was asked for. */
export interface ValidateCommand {
  readonly files: readonly string[];
  readonly strict: boolean;
  readonly format: 'table' | 'json' | 'yaml' | 'name';
}

/** Prints what is wrong with documents, each by itself: 0 valid, 1 invalid, 2 a file that can't be read. */
export async function validate(options: ValidateCommand, output: Output): Promise<number> {
  const { files, strict, format } = options;
  const { violations, unread, documents } = await validateFiles(files, { strict });
  for (const one of unread) output.err(`${formatViolation(one)}\n`);
  if (unread.length > 0) return 2;
  const errors = violations.filter(({ severity }) => severity === 'error');
  const isValid = errors.length === 0;
  if (format === 'table') {
    for (const one of violations) output.out(`${formatViolation(one)}\n`);
    const warnings = violations.length - errors.length;
    output.err(
      `${isValid ? `${counted(documents, 'document')}: valid` : counted(errors.length, 'error')}${warnings > 0 ? `, ${counted(warnings, 'warning')}` : ''}\n`,
    );
  } else if (format === 'name') {
    const names = errors.map(({ resource, origin }) => resource ?? origin.file);
    for (const name of new Set(names)) output.out(`${name}\n`);
  } else {
    const value = { valid: isValid, documents, violations: violations.map(violationJson) };
    await print(output, format, value, () => []);
  }
  return isValid ? 0 : 1;
}
