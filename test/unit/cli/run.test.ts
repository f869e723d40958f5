import { describe, expect, test } from 'vitest';
import { type RunOptions, run, runEnvironment } from '../../../src/cli/run.js';

const OPTIONS: RunOptions = {
  service: 'reviews',
  version: 'v2',
  namespace: undefined,
  serviceAccount: undefined,
  labels: [],
  locality: undefined,
  controlPlane: undefined,
  cacheDir: undefined,
  command: [],
};

function capture() {
  const [out, err]: string[][] = [[], []];
  return {
    output: { out: (text: string) => out?.push(text), err: (text: string) => err?.push(text), color: false },
    out,
    err,
  };
}

const node = (code: string) => [process.execPath, '-e', code];

describe('run', () => {
  test('the environment names the member and leaves the rest as it is', () => {
    const environment = runEnvironment(
      { ...OPTIONS, labels: ['a=b', 'c=d'] },
      { PATH: '/bin', INMESH_NAMESPACE: 'shop' },
    );
    expect(environment).toEqual({
      PATH: '/bin',
      INMESH_NAMESPACE: 'shop',
      INMESH_SERVICE: 'reviews',
      INMESH_VERSION: 'v2',
      INMESH_LABELS: 'a=b,c=d',
    });
  });

  test('output is prefixed, stdout and stderr stay apart, the exit code is the program’s', async () => {
    const { output, out, err } = capture();
    const command = node(
      'console.log(process.env.INMESH_SERVICE); console.error("bad"); process.exitCode = 3',
    );
    expect(await run({ ...OPTIONS, command }, output)).toBe(3);
    expect([out?.join(''), err?.join('')]).toEqual(['reviews-v2 | reviews\n', 'reviews-v2 | bad\n']);
  });

  test('a program that a signal ends is reported as shells do', async () => {
    const command = node('process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 1000)');
    expect(await run({ ...OPTIONS, command }, capture().output)).toBe(137);
  });

  test('a program that is not there is a clear error', async () => {
    const running = run({ ...OPTIONS, command: ['/no/such/program'] }, capture().output);
    await expect(running).rejects.toMatchObject({ code: 'INMESH_COMMAND_FAILED' });
  });

  test('no program is a clear error', async () => {
    await expect(run(OPTIONS, capture().output)).rejects.toMatchObject({ code: 'INMESH_COMMAND_FAILED' });
  });
});
