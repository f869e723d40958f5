import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { analyze } from '../../src/control-plane/analysis/analyze.js';
import { readForAnalysis } from '../../src/control-plane/analysis/read.js';
import { DEFAULT_LIMITS } from '../../src/control-plane/schema/limits.js';
import { vectorFolder, vectorJson, vectorSuite } from './score.js';

interface AnalysisCase {
  readonly name: string;
  readonly inputFiles: readonly string[];
  readonly meshConfigFile?: string;
  readonly meshNetworksFile?: string;
  readonly expected: readonly { readonly code: string; readonly level: string; readonly origin: string }[];
  readonly analyzerCodes: readonly string[];
}

const CASES = 'istio/analysis/cases.json';
const folder = new URL('istio/analysis/', vectorFolder);

const filesOf = ({ inputFiles, meshConfigFile, meshNetworksFile }: AnalysisCase): readonly string[] => [
  ...inputFiles,
  ...[meshConfigFile, meshNetworksFile].flatMap((name) => name ?? []),
];

vectorSuite({
  file: CASES,
  cases: (vectorJson(CASES) as readonly AnalysisCase[] | undefined) ?? [],
  title: ({ name }) => name,
  skip(one) {
    const missing = filesOf(one).filter((name) => !existsSync(new URL(name, folder)));
    return missing.length === 0 ? undefined : 'a file that the case names is not there';
  },
  run(one) {
    const files = filesOf(one).map((file) => ({ file, content: readFileSync(new URL(file, folder)) }));
    const input = readForAnalysis({ files }, DEFAULT_LIMITS);
    const findings = analyze(input, { now: Date.now() });
    const found = findings.filter(({ code }) => one.analyzerCodes.includes(code));
    const text = ({ code, level, origin }: { code: string; level: string; origin: string }) =>
      `${code} ${level} ${origin}`;
    // A set: analyzers may tell the same code about a document more than once.
    expect([...new Set(found.map(text))].sort()).toEqual([...new Set(one.expected.map(text))].sort());
  },
});
