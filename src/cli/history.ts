import { type ChangeOptions, isDryRun, showAnswer } from './changes.js';
import { apiOf } from './diff.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { print } from './print.js';
import type { Difference } from './show-diff.js';
import { askStatus, callPlane } from './status-api.js';

/** Lists revisions. */
export async function history(
  options: PlaneOptions & {
    readonly limit: number;
    readonly format: 'table' | 'wide' | 'json' | 'yaml' | 'name';
  },
  output: Output,
): Promise<number> {
  const { entries } = (await askStatus(apiOf(options), `/api/history?limit=${options.limit}`)) as {
    readonly entries: readonly {
      readonly revision: number;
      readonly at: string;
      readonly source: string;
      readonly author?: string;
      readonly message?: string;
      readonly changeCount: number;
      readonly changes?: readonly Difference[];
    }[];
  };
  if (options.format === 'name') output.out(entries.map(({ revision }) => `${revision}\n`).join(''));
  else {
    await print(output, options.format, entries, () => [
      ['REVISION', 'AT', 'SOURCE', 'AUTHOR', 'CHANGES', 'MESSAGE'],
      ...entries.map((one) => [
        String(one.revision),
        one.at,
        one.source,
        one.author ?? '',
        options.format === 'wide' && one.changes !== undefined
          ? one.changes.map(({ op, kind, name }) => `${op} ${kind.toLowerCase()}/${name}`).join(' ')
          : String(one.changeCount),
        one.message ?? '',
      ]),
    ]);
  }
  return 0;
}

/** Goes back to a revision. */
export async function rollback(to: number, options: ChangeOptions, output: Output): Promise<number> {
  const { confirm, message } = options;
  const answer = await callPlane(apiOf(options), '/api/rollback', {
    method: 'POST',
    body: { to, dryRun: isDryRun(options), confirm, message },
  });
  return showAnswer(answer, options, output);
}

/** Takes into force what is held back. */
export async function confirm(options: ChangeOptions, output: Output): Promise<number> {
  const answer = await callPlane(apiOf(options), '/api/held/confirm', { method: 'POST', body: {} });
  if (answer.status !== 200) return showAnswer(answer, options, output);
  const { revision } = answer.body as { readonly revision: number };
  const { format } = options;
  if (format === 'name') output.out(`${revision}\n`);
  else await print(output, format, answer.body, () => [[`revision ${revision} in force`]]);
  return 0;
}
