import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { completion } from '../../../src/cli/completion.js';

// bash is there wherever this package is built; the scripts for zsh and fish ask the program in the same words.

const folder = mkdtempSync(join(tmpdir(), 'inmesh-completion-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(() => {
  writeFileSync(join(folder, 'completion.bash'), completion('bash'));
  writeFileSync(join(folder, 'mesh one.yaml'), '');
  const program = join(folder, 'inmesh');
  // Writes down what it was asked, and answers what the test wants.
  writeFileSync(program, `#!/bin/sh\nprintf '<%s>' "$@" >${folder}/asked\nprintf '%b' "$ANSWER"\n`);
  chmodSync(program, 0o755);
});

/** What bash makes of a line: as readline parts it, with the cursor at its end. */
function complete(words: readonly string[], answer: string) {
  const script = `. ${folder}/completion.bash
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _inmesh; printf '<%s>' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script, 'bash', ...words], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${folder}:${process.env['PATH']}`, ANSWER: answer },
  });
  return { stdout, stderr, asked: readFileSync(join(folder, 'asked'), 'utf8') };
}

test.each([
  ['a command', ['inmesh', 'ge'], 'get\\n', '<__complete><--><ge>', '<get>'],
  ['an empty word', ['inmesh', 'get', ''], 'vs\\nsvc\\n', '<__complete><--><get><>', '<vs><svc>'],
  ['kind/name', ['inmesh', 'get', 'vs/r'], 'vs/reviews\\n', '<__complete><--><get><vs/r>', '<vs/reviews>'],
  // Readline parts words at = and shows what comes after it.
  [
    'a value after =',
    ['inmesh', 'get', '--output', '=', 'js'],
    '--output=json\\n--output=jsonpath=\\n',
    '<__complete><--><get><--output=js>',
    '<json><jsonpath=>',
  ],
  [
    'nothing after =',
    ['inmesh', 'get', '--output', '='],
    '--output=json\\n',
    '<__complete><--><get><--output=>',
    '<json>',
  ],
  [
    'an address',
    ['inmesh', 'status', '--control-plane', 'localhost', ':', '15014', ''],
    'reviews-v1\\n',
    '<__complete><--><status><--control-plane><localhost:15014><>',
    '<reviews-v1>',
  ],
  [
    'files',
    ['inmesh', 'apply', '-f', 'me'],
    ':files\\n',
    '<__complete><--><apply><-f><me>',
    '<mesh one.yaml>',
  ],
  ['nothing', ['inmesh', 'get', 'x'], '', '<__complete><--><get><x>', '<>'],
])('bash completes %s', (_, words, answer, asked, wanted) => {
  expect(complete(words, answer)).toEqual({ stdout: wanted, stderr: '', asked });
});
