import { main } from '../../../src/cli/main.js';

/** What a command line prints, and its exit code. */
export async function run(...args: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await main(args, {
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    color: false,
  });
  return { code, out: out.join(''), err: err.join('') };
}
