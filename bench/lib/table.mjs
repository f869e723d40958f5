// Results as a Markdown table: medians with the least and the most in brackets.

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

const cell = (list, key, digits) => {
  const values = list.map((one) => one[key]).sort((a, b) => a - b);
  const show = (value) => value.toFixed(digits);
  return `${show(median(values))} [${show(values[0])}-${show(values.at(-1))}]`;
};

export class Table {
  #lines;

  constructor(columns) {
    this.#lines = [columns, columns.map(() => '---')];
  }

  /** One list of results: pairs are a key with its digits, numbers are ratios. */
  row(name, list, ...cells) {
    this.#lines.push([
      name,
      ...cells.map((one) => (typeof one === 'number' ? `${one.toFixed(2)}x` : cell(list, ...one))),
    ]);
  }

  /** Cells from several lists; numbers are plain. */
  pairs(name, ...cells) {
    this.#lines.push([
      name,
      ...cells.map((one) => (typeof one === 'number' ? one.toFixed(3) : cell(...one))),
    ]);
  }

  print() {
    for (const line of this.#lines) console.log(`| ${line.join(' | ')} |`);
    console.log();
  }
}
