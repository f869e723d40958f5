import { compileAuthorizationFiles, formatViolations } from '../control-plane.js';
import type { Output } from './output.js';
import { tellInvalid } from './tell-invalid.js';
import type { WorkloadOptions } from './workload-options.js';
import { targetOf } from './workload-target.js';

/** What `inmesh compile rbac` was asked for. */
export interface CompileRbacOptions extends WorkloadOptions {
  /** Undefined = both. */
  readonly kind?: 'http' | 'tcp';
}

/** Prints the filters of RBAC and external authorization of a workload; what they lose goes to stderr. */
export async function compileRbac(options: CompileRbacOptions, output: Output): Promise<number> {
  const target = await targetOf(options, output);
  if (target === undefined) return 1;
  const compiled = await compileAuthorizationFiles(options.file, target);
  if (!compiled.accepted) return tellInvalid(compiled.violations, 'json', output);
  if (compiled.warnings.length > 0) output.err(`${formatViolations(compiled.warnings)}\n`);
  const { http, tcp, problems } = compiled.result;
  for (const problem of problems) output.err(`${problem}; what it would decide about is refused\n`);
  const shown = { http, tcp, both: { http, tcp } }[options.kind ?? 'both'];
  output.out(`${JSON.stringify(shown, undefined, 2)}\n`);
  return 0;
}
