import { migrateRbacFiles } from '../control-plane.js';
import type { Output } from './output.js';
import { tellInvalid } from './tell-invalid.js';

/** What `inmesh migrate rbac` was asked for. */
export interface MigrateRbacOptions {
  readonly file: readonly string[];
  readonly rootNamespace?: string;
  readonly output: 'yaml' | 'json';
}

/** Prints the AuthorizationPolicies that stand for old ones; what has no equal goes to stderr, and makes it 1. */
export async function migrateRbac(options: MigrateRbacOptions, output: Output): Promise<number> {
  const migrated = await migrateRbacFiles(options.file, options.rootNamespace);
  if (!migrated.accepted) return tellInvalid(migrated.violations, options.output, output);
  const { yaml, policies, losses } = migrated.result;
  for (const loss of losses) output.err(`${loss}\n`);
  output.out(options.output === 'json' ? `${JSON.stringify(policies, undefined, 2)}\n` : yaml);
  return losses.length > 0 ? 1 : 0;
}
