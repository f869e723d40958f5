/**
 * Lists the failed tests of a JSON report of vitest, a few lines each:
 *
 *     node scripts/failed-tests.mjs report.json
 */
import { readFileSync } from 'node:fs';

/** Enough for the complaint and the place, short enough for the end of a log. */
const LINES = 12;

const firstLines = (text) => text.split('\n').slice(0, LINES).join('\n    ');

try {
  const { testResults } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
  for (const file of testResults) {
    const failed = file.assertionResults.filter(({ status }) => status === 'failed');
    if (failed.length === 0 && file.status === 'failed')
      console.log(`  ${file.name}\n    ${firstLines(file.message)}`);
    for (const { fullName, failureMessages } of failed)
      console.log(`  ${file.name}\n    ${fullName}\n    ${failureMessages.map(firstLines).join('\n    ')}`);
  }
} catch (error) {
  console.log(`  no readable report: ${error.message}`);
}
