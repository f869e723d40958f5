/** What is different between two texts, line by line: `-` gone, `+` new, ` ` near them. */
export function lineDiff(before: string, after: string, near = 2): string {
  const [old, now] = [linesOf(before), linesOf(after)];
  const steps = script(old, now);
  const isNear = steps.map((_, index) =>
    steps.slice(Math.max(0, index - near), index + near + 1).some(({ sign }) => sign !== ' '),
  );
  let text = '';
  let wasLeftOut = false;
  for (const [index, { sign, line }] of steps.entries()) {
    if (isNear[index] === true) text += `${sign} ${line}\n`;
    else if (!wasLeftOut) text += '  ...\n';
    wasLeftOut = isNear[index] !== true;
  }
  return text;
}

interface Step {
  readonly sign: ' ' | '-' | '+';
  readonly line: string;
}

/** Beyond that, all of the old and all of the new is shown. */
const MAX_CELLS = 4_000_000;

/** By the longest common subsequence. */
function script(old: readonly string[], now: readonly string[]): readonly Step[] {
  if (old.length * now.length > MAX_CELLS) return [...signed('-', old), ...signed('+', now)];
  const length = commonLengths(old, now);
  const steps: Step[] = [];
  let [i, j] = [0, 0];
  while (i < old.length && j < now.length) {
    const isSame = old[i] === now[j];
    const isGone = !isSame && length(i + 1, j) >= length(i, j + 1);
    steps.push(
      isSame || isGone ? { sign: isSame ? ' ' : '-', line: old[i] ?? '' } : { sign: '+', line: now[j] ?? '' },
    );
    if (isSame || isGone) i++;
    if (!isGone) j++;
  }
  return [...steps, ...signed('-', old.slice(i)), ...signed('+', now.slice(j))];
}

function signed(sign: Step['sign'], lines: readonly string[]): readonly Step[] {
  return lines.map((line) => ({ sign, line }));
}

/** How many lines the rests of both from two places on have in common. */
function commonLengths(old: readonly string[], now: readonly string[]): (i: number, j: number) => number {
  const width = now.length + 1;
  const lengths = new Uint32Array((old.length + 1) * width);
  const at = (i: number, j: number) => lengths[i * width + j] ?? 0;
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--)
      lengths[i * width + j] =
        old[i] === now[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  }
  return at;
}

function linesOf(text: string): readonly string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}
