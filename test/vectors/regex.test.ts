import { expect } from 'vitest';
import { compileRegex } from '../../src/routing/regex.js';
import { withinCpuMs } from './cpu-time.js';
import { vectorJson, vectorSuite } from './score.js';

interface EvilCase {
  readonly pattern: string;
  readonly input: string;
}

/** The lists of the file; which of them are there, differs. */
interface RegexFile {
  readonly evil?: readonly EvilCase[];
  readonly re2Invalid?: readonly unknown[];
  readonly re2Valid?: readonly unknown[];
}

const FILE = 'regex/regex.json';
const { evil = [], re2Invalid = [], re2Valid = [] } = (vectorJson(FILE) as RegexFile | undefined) ?? {};

/** A pattern by itself, or with what is said of it. */
function patternOf(entry: unknown): string {
  if (typeof entry === 'string') return entry;
  return typeof entry === 'object' && entry !== null && 'pattern' in entry ? String(entry.pattern) : '';
}

/** The stated limit, with room for a slow machine. */
const MAX_MS = 5 * 4;

vectorSuite({
  file: FILE,
  part: 'evil',
  cases: evil,
  title: ({ pattern }) => pattern,
  async run({ pattern, input }) {
    const test = compileRegex(pattern);
    await withinCpuMs(MAX_MS, () => test(input));
  },
});

if (re2Invalid.length > 0) {
  vectorSuite({
    file: FILE,
    part: 're2Invalid',
    cases: re2Invalid.map(patternOf),
    title: (pattern) => pattern,
    run: (pattern) => expect(() => compileRegex(pattern)).toThrow('INMESH_CONFIG_INVALID'),
  });
}

if (re2Valid.length > 0) {
  vectorSuite({
    file: FILE,
    part: 're2Valid',
    cases: re2Valid.map(patternOf),
    title: (pattern) => pattern,
    run: (pattern) => expect(compileRegex(pattern)).toBeTypeOf('function'),
  });
}
