import type { Output } from './output.js';

/** How a command prints what it found. */
export type Format = 'table' | 'wide' | 'json' | 'yaml' | 'name';

/** Prints a value: as a table of `rows` for people, or as it is for programs. */
export async function print(
  output: Output,
  format: Format,
  value: unknown,
  rows: () => readonly (readonly string[])[],
): Promise<void> {
  if (format === 'json') output.out(`${JSON.stringify(value, undefined, 2)}\n`);
  else if (format === 'yaml') {
    const { stringify } = await import('yaml');
    output.out(stringify(JSON.parse(JSON.stringify(value))));
  } else output.out(table(rows()));
}

type Rows = readonly (readonly string[])[];

/** Columns of equal width, as kubectl prints them; as wide as those of `like`. */
export function table(rows: Rows, like: Rows = rows): string {
  const widths: number[] = [];
  for (const row of like) {
    for (const [column, text] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, text.length);
  }
  return rows
    .map(
      (row) =>
        `${row
          .map((text, column) => text.padEnd(widths[column] ?? 0))
          .join('   ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** A span of time as kubectl writes it: its one or two largest units. */
export function age(seconds: number): string {
  if (seconds < 0) return 'expired';
  const units = [
    ['y', 31_536_000],
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
    ['s', 1],
  ] as const;
  const from = units.findIndex(([, size]) => seconds >= size);
  if (from < 0) return '0s';
  let rest = seconds;
  let text = '';
  for (const [unit, size] of units.slice(from, from + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text;
}
