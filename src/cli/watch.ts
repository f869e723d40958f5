import { setTimeout as sleep } from 'node:timers/promises';
import type { Output } from './output.js';
import { type Format, table } from './print.js';

/** What is looked at again and again: a row for each thing that is there. */
export interface Watched {
  readonly head: readonly string[];
  readonly rows: ReadonlyMap<string, { readonly cells: readonly string[]; readonly value: unknown }>;
}

const PERIOD_MS = 1_000;

/**
 * Prints what is there, and from then on what becomes different, until it is stopped: a row each, or with `-o json` a
 * document in a line each.
 */
export async function watch(read: () => Promise<Watched>, format: Format, output: Output): Promise<number> {
  const isJson = format === 'json' || format === 'yaml';
  let known = new Map<string, string>();
  for (let round = 0; output.stop?.aborted !== true; round++) {
    const { head, rows } = await read();
    const changed = [...rows].filter(([key, { cells }]) => known.get(key) !== cells.join('\0'));
    const gone = [...known].filter(([key]) => !rows.has(key)).map(([, text]) => text.split('\0'));
    if (isJson) for (const [, { value }] of changed) output.out(`${JSON.stringify(value)}\n`);
    else {
      const lines = [...changed.map(([, { cells }]) => cells), ...gone.map((cells) => [...cells, '(gone)'])];
      const shown = format !== 'name' && round === 0 ? [head, ...lines] : lines;
      if (shown.length > 0) output.out(table(shown, [head, ...[...rows.values()].map(({ cells }) => cells)]));
    }
    known = new Map([...rows].map(([key, { cells }]) => [key, cells.join('\0')]));
    // Ended by the signal: that is no error.
    await sleep(PERIOD_MS, undefined, { signal: output.stop }).catch(() => {});
  }
  return 0;
}
