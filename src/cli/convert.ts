import { convertFiles } from '../control-plane.js';
import type { Output } from './output.js';
import { tellInvalid } from './tell-invalid.js';

/** What `inmesh convert` was asked for. */
export interface ConvertOptions {
  readonly file: readonly string[];
  readonly to: 'gateway-api' | 'istio';
  readonly output: 'yaml' | 'json';
}

/** Prints converted documents; 1 = something has no equal, or they are invalid. */
export async function convert({ file, to, output: format }: ConvertOptions, output: Output): Promise<number> {
  const result = await convertFiles(file, to);
  if (!result.accepted) return tellInvalid(result.violations, format, output);
  const { documents, losses } = result.conversion;
  for (const loss of losses) output.err(`${loss}\n`);
  if (format === 'json') output.out(`${JSON.stringify(documents, undefined, 2)}\n`);
  else {
    const { stringify } = await import('yaml');
    const plain: unknown[] = JSON.parse(JSON.stringify(documents));
    output.out(plain.map((one) => stringify(one)).join('---\n'));
  }
  return losses.length > 0 ? 1 : 0;
}
