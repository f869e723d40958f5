import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, type TestContext, test } from 'vitest';

/** Where the vectors are, when they are there. */
export const vectorFolder = new URL('../../../shared/vectors/', import.meta.url);

/** Whether the vectors are there; without them the tests that read them have nothing to do. */
export const hasVectors = existsSync(vectorFolder);

/** What a suite says to whoever counts: which file, how many cases, and why some are not run. */
export interface Score {
  readonly file: string;
  readonly total: number;
  /** Number of cases by the reason why they are not run. */
  readonly notRun: Readonly<Record<string, number>>;
}

declare module 'vitest' {
  interface TaskMeta {
    score?: Score;
  }
}

/** Text of a vector file, its name relative to the folder; empty when the folder is not there. */
export function vectorText(file: string): string {
  return hasVectors ? readFileSync(new URL(file, vectorFolder), 'utf8') : '';
}

/** A JSON vector file; undefined when the folder is not there. */
export function vectorJson(file: string): unknown {
  return hasVectors ? JSON.parse(vectorText(file)) : undefined;
}

export interface VectorSuite<T> {
  /** Relative to the folder: `envoy/vectors/hashes.json`. */
  readonly file: string;
  /** What of the file, when several suites share it. */
  readonly part?: string;
  readonly cases: readonly T[];
  readonly title: (one: T) => string;
  /** Why a case is not run; undefined = it is. */
  readonly skip?: (one: T) => string | undefined;
  readonly run: (one: T, context: TestContext) => void | Promise<void>;
}

/** Makes a test of each case, and counts them for `npm run vectors`. */
export function vectorSuite<T>({ file, part, cases, title, skip, run }: VectorSuite<T>): void {
  const notRun: Record<string, number> = {};
  const chosen = cases.filter((one) => {
    const reason = skip?.(one);
    if (reason !== undefined) notRun[reason] = (notRun[reason] ?? 0) + 1;
    return reason === undefined;
  });
  describe.runIf(hasVectors)(part === undefined ? file : `${file}: ${part}`, () => {
    for (const [index, one] of chosen.entries()) {
      test(`${index + 1}: ${title(one)}`, async (context) => {
        context.task.meta.score = { file, total: 0, notRun: {} };
        await run(one, context);
      });
    }
    test(`${chosen.length} of ${cases.length} are run`, ({ task }) => {
      task.meta.score = { file, total: cases.length, notRun };
      expect(cases.length).toBeGreaterThan(0);
    });
  });
}
