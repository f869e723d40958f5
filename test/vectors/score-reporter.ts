import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { hasVectors, type Score } from './score.js';

interface Row {
  passed: number;
  failed: number;
  total: number;
  readonly notRun: Map<string, number>;
}

/** Prints one row per vector file: how many of its cases pass, and why the others are not run. */
export default class ScoreReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    if (!hasVectors) {
      console.log('vectors: absent');
      return;
    }
    const rows = new Map<string, Row>();
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { score } = test.meta();
        // Suites that do not count the cases of their file count as tests.
        count(rows, score ?? { file: `tests of ${module.moduleId.split('/').at(-1)}`, total: 0, notRun: {} }, test);
        if (score === undefined) addTotal(rows, module.moduleId);
      }
      for (const error of module.errors()) console.log(`${module.moduleId}: ${error.message}`);
    }
    const width = Math.max(0, ...[...rows.keys()].map((file) => file.length));
    for (const [file, row] of [...rows].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const marks = [...row.notRun].map(([reason, number]) => `${number} not run: ${reason}`);
      if (row.failed > 0) marks.unshift(`${row.failed} FAILED`);
      console.log(`${file.padEnd(width)}  ${`${row.passed}/${row.total}`.padStart(9)}  ${marks.join('; ')}`);
    }
    const sum = (pick: (row: Row) => number) => [...rows.values()].reduce((all, row) => all + pick(row), 0);
    console.log(`${'all'.padEnd(width)}  ${`${sum((row) => row.passed)}/${sum((row) => row.total)}`.padStart(9)}`);
  }
}

function addTotal(rows: Map<string, Row>, moduleId: string): void {
  const row = rows.get(`tests of ${moduleId.split('/').at(-1)}`);
  if (row !== undefined) row.total++;
}

function count(rows: Map<string, Row>, score: Score, test: TestCase): void {
  const row = rows.get(score.file) ?? { passed: 0, failed: 0, total: 0, notRun: new Map<string, number>() };
  rows.set(score.file, row);
  if (score.total > 0) {
    row.total += score.total;
    for (const [reason, number] of Object.entries(score.notRun)) {
      row.notRun.set(reason, (row.notRun.get(reason) ?? 0) + number);
    }
  } else if (test.result().state === 'passed') {
    row.passed++;
  } else {
    row.failed++;
    report(test);
  }
}

function report(test: TestCase): void {
  const [error] = test.result().errors ?? [];
  console.log(`FAILED ${test.fullName}: ${error?.message ?? ''}`);
}
