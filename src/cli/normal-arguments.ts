import { existsSync } from 'node:fs';

/** Options whose value may be left out: what follows them is their value only when it is one of these. */
const OPTIONAL: Readonly<Record<string, { readonly values: readonly string[]; readonly standard: string }>> =
  {
    '--dry-run': { values: ['server', 'client', 'none'], standard: 'server' },
  };

/** Options that take several files. */
const FILES: ReadonlySet<string> = new Set(['-f', '--file', '--against']);

const CONFIG_FILE = /\.(?:ya?ml|json|[cm]?[jt]s)$/i;

/** Commands whose own arguments are bare words: a folder that is called like a service is no further file of theirs. */
const WITH_WORDS: ReadonlySet<string> = new Set([
  'get',
  'describe',
  'delete',
  'explain',
  'authz',
  'shift',
  'retry',
  'timeout',
  'fault',
]);

/**
 * Command lines as people write them, in the one form that is parsed: `-f a b` (and what a shell makes of `-f *.yaml`) is
 * `-f a -f b`, and `--dry-run` takes no argument of the command for its value. What `run` starts stays as it is.
 */
export function normalArguments(args: readonly string[]): readonly string[] {
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  const command = own.find((word) => !word.startsWith('-')) ?? '';
  if (command === 'run') return args;
  const isFile = (word: string) => isFileName(word) || (!WITH_WORDS.has(command) && existsSync(word));
  const normal: string[] = [];
  for (let at = 0; at < own.length; ) {
    const taken = FILES.has(own[at] ?? '') ? filesAt(own, at, isFile) : wordAt(own, at);
    normal.push(...taken.words);
    at += taken.count;
  }
  return [...normal, ...(end < 0 ? [] : args.slice(end))];
}

/** Words in their normal form, and how many of the given they stand for. */
interface Taken {
  readonly words: readonly string[];
  readonly count: number;
}

/** The first word after the option is a file whatever it is, further ones as long as they look like some. */
function filesAt(args: readonly string[], at: number, isFile: (word: string) => boolean): Taken {
  const option = args[at] ?? '';
  const rest = args.slice(at + 2);
  const further = rest.findIndex((word) => !isWord(word) || !isFile(word));
  const more = rest.slice(0, further < 0 ? rest.length : further);
  const words = [...args.slice(at, at + 2), ...more.flatMap((word) => [option, word])];
  return { words, count: args.slice(at, at + 2).length + more.length };
}

function wordAt(args: readonly string[], at: number): Taken {
  const word = args[at] ?? '';
  const optional = Object.hasOwn(OPTIONAL, word) ? OPTIONAL[word] : undefined;
  if (optional === undefined) return { words: [word], count: 1 };
  const next = args[at + 1];
  const isSaid = next !== undefined && optional.values.includes(next);
  return { words: [`${word}=${isSaid ? next : optional.standard}`], count: isSaid ? 2 : 1 };
}

function isWord(word: string): boolean {
  return word === '-' || !word.startsWith('-');
}

/** Whatever is there: what is misspelt has to be told as a file. */
function isFileName(word: string): boolean {
  if (word === '-' || word.includes('://')) return word === '-';
  return CONFIG_FILE.test(word) || (word.includes('/') && existsSync(word));
}
