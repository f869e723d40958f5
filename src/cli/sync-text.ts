import type { ClientSync } from '../control-plane.js';
import { lineDiff } from './line-diff.js';
import { yamlOf } from './objects.js';
import { table } from './print.js';
import { sorted } from './show-diff.js';

/** The differences of a client, each with its lines: `-` what it holds, `+` what it would be sent. */
export async function syncText({ differences }: ClientSync, isWhole: boolean): Promise<string> {
  if (differences.length === 0) return '';
  const rows = differences.map(({ type, name, change, reason, error = '' }) => [
    type,
    name,
    change,
    reason,
    error,
  ]);
  const head = table([['TYPE', 'RESOURCE', 'CHANGE', 'REASON', 'ERROR'], ...rows]);
  const details = await Promise.all(
    differences
      // What is missing or gone is whole on one side: shown when everything is asked for.
      .filter(
        ({ change, held, wanted }) =>
          (held !== undefined || wanted !== undefined) && (isWhole || change === 'changed'),
      )
      .map(async ({ type, name, held, wanted }) => {
        const yaml = (one: unknown) => (one === undefined ? '' : yamlOf([sorted(one) as object]));
        return `\n${type} ${name}\n${lineDiff(await yaml(held), await yaml(wanted))}`;
      }),
  );
  return `${head}${details.join('')}`;
}
