import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { endsWithShell } from '../../../src/cli/left-alone.js';

test.each([
  ['inmesh dev', true],
  ['inmesh validate mesh.yaml && inmesh dev', true],
  ['inmesh dev >log 2>&1', true],
  ['inmesh dev &', false],
  ['inmesh dev & node app.js', false],
  [undefined, false],
])('a script ends with its shell: %s', (script, wanted) => {
  expect(endsWithShell(script)).toBe(wanted);
});

test('what npm started hears that its shell is gone', async () => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('../../../src/cli/left-alone.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
  });
  const program = `${outputFiles[0]?.text}
const alive = setInterval(() => {}, 1000);
whenLeftAlone(() => { console.log('alone'); clearInterval(alive); });
console.log('up');`;
  const shell = spawn('sh', ['-c', '"$0" --input-type=module -e "$PROGRAM"; true', process.execPath], {
    env: { ...process.env, PROGRAM: program, npm_lifecycle_script: 'inmesh dev' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let heard = '';
  for await (const text of shell.stdout.setEncoding('utf8')) {
    heard += text;
    if (heard === 'up\n') shell.kill('SIGKILL');
  }
  expect(heard).toBe('up\nalone\n');
});
