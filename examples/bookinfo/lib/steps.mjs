// The walk's bookkeeping: each step says what is expected, what was observed, and whether that is all right.
const results = [];

export function step(title) {
  console.log(`\n${results.length === 0 ? '' : ''}▸ ${title}`);
}

/** Prints one comparison and remembers it. */
export function check(expected, observed, ok) {
  results.push(ok);
  console.log(`    expected  ${expected}\n    observed  ${observed}\n    ${ok ? 'ok' : 'MISS'}`);
}

export function summary() {
  const passed = results.filter(Boolean).length;
  return { passed, failed: results.length - passed };
}

/** Whether a count fits a binomial share: within four standard deviations, missed by chance once in 16,000 runs. */
export function fits(count, total, share) {
  return Math.abs(count - total * share) <= 4 * Math.sqrt(total * share * (1 - share));
}

/** Polls until the condition holds; false when it does not in time. */
export async function eventually(condition, timeoutMs = 10_000) {
  const until = performance.now() + timeoutMs;
  while (performance.now() < until) {
    if (await condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}
