import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { clientErrorsTables } from './client-errors-page.js';

const PATH = join(import.meta.dirname, '../../docs/client-errors.md');
const [BEGIN, END] = ['<!-- table: begin -->', '<!-- table: end -->'];

/** `UPDATE_SHAPE=1 npx vitest run --project shape` writes the tables anew. */
test('docs/client-errors.md has the table that is tested', () => {
  const page = readFileSync(PATH, 'utf8');
  const [before = '', rest = ''] = page.split(BEGIN);
  const [, after = ''] = rest.split(END);
  const wanted = `${before}${BEGIN}\n\n${clientErrorsTables()}\n\n${END}${after}`;
  if (process.env['UPDATE_SHAPE'] === '1') writeFileSync(PATH, wanted);
  else expect(page).toBe(wanted);
});
