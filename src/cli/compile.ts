import { type CompileTarget, compileFiles, formatViolations } from '../control-plane.js';
import { labelsOf } from './labels.js';
import type { Output } from './output.js';
import { tellInvalid } from './tell-invalid.js';
import { meshOf } from './workload-target.js';

/** What `inmesh compile` was asked for. */
export interface CompileOptions {
  readonly files: readonly string[];
  readonly profile: CompileTarget['profile'];
  readonly namespace: string;
  /** `key=value`. */
  readonly labels: readonly string[];
  readonly type?: CompileTarget['type'];
  readonly address?: string | undefined;
  readonly meshConfig?: string | undefined;
  readonly proxyPort: number | undefined;
  readonly portListeners: boolean;
}

/** Prints what documents come to for one client; what they lose or do wrong goes to stderr. */
export async function compile(options: CompileOptions, output: Output): Promise<number> {
  const { files, profile, namespace, type, address, proxyPort, portListeners } = options;
  const mesh = options.meshConfig === undefined ? {} : await meshOf(options.meshConfig, output);
  if (mesh === undefined) return 1;
  const result = await compileFiles(files, {
    profile,
    namespace,
    labels: labelsOf(options.labels),
    type,
    address,
    mesh,
    portListeners,
    ...(proxyPort !== undefined && { proxyPort }),
  });
  if (!result.accepted) return tellInvalid(result.violations, 'json', output);
  if (result.warnings.length > 0) output.err(`${formatViolations(result.warnings)}\n`);
  for (const loss of result.losses) output.err(`${loss}\n`);
  output.out(`${JSON.stringify(result.resources, undefined, 2)}\n`);
  return 0;
}
