import { type CompileTarget, compileFiles, formatViolations } from '../control-plane.js';
import { labelsOf } from './labels.js';
import type { Output } from './output.js';
import { tellInvalid } from './tell-invalid.js';

/** What `inmesh compile` was asked for. */
export interface CompileOptions {
  readonly files: readonly string[];
  readonly profile: CompileTarget['profile'];
  readonly namespace: string;
  /** `key=value`. */
  readonly labels: readonly string[];
  readonly proxyPort: number | undefined;
  readonly portListeners: boolean;
}

/** Prints what documents come to for one client; what they lose or do wrong goes to stderr. */
export async function compile(options: CompileOptions, output: Output): Promise<number> {
  const { files, profile, namespace, proxyPort, portListeners } = options;
  const result = await compileFiles(files, {
    profile,
    namespace,
    labels: labelsOf(options.labels),
    portListeners,
    ...(proxyPort !== undefined && { proxyPort }),
  });
  if (!result.accepted) return tellInvalid(result.violations, 'json', output);
  if (result.warnings.length > 0) output.err(`${formatViolations(result.warnings)}\n`);
  for (const loss of result.losses) output.err(`${loss}\n`);
  output.out(`${JSON.stringify(result.resources, undefined, 2)}\n`);
  return 0;
}
