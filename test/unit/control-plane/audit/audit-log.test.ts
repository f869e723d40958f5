import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createJoinTokenIn } from '../../../../src/control-plane/access/plane-access.js';
import { createFileAudit } from '../../../../src/control-plane/audit/file-audit.js';
import { createLoggedAudit } from '../../../../src/control-plane/audit/log-audit.js';
import { type Logger, silentLogger } from '../../../../src/runtime/log.js';
import { Secret } from '../../../../src/runtime/secret.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

const folders: string[] = [];
const clock = createFakeClock();

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'inmesh-audit-'));
  folders.push(folder);
  return folder;
}

async function lines(
  path: string,
): Promise<readonly { readonly action: string; readonly target?: string }[]> {
  const text = await readFile(path, 'utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

describe('the audit log on disk', () => {
  test('has a line for each record when the promise resolves, and only its owner reads it', async () => {
    const path = join(await newFolder(), 'audit.jsonl');
    const log = await createFileAudit({ path, clock, logger: silentLogger });
    await Promise.all([
      log.record({ action: 'a', outcome: 'allowed', actor: 'spiffe://d/ns/x/sa/y' }),
      log.record({ action: 'b', outcome: 'refused', reason: 'because' }),
    ]);
    expect(await lines(path)).toMatchObject([
      { sequence: 0, action: 'a', outcome: 'allowed', actor: 'spiffe://d/ns/x/sa/y' },
      { sequence: 1, action: 'b', outcome: 'refused', reason: 'because' },
    ]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await log.close();
  });

  test('tells of tokens that are made in the data folder, next to what the control plane writes', async () => {
    const folder = await newFolder();
    const path = join(folder, 'audit.jsonl');
    // So small that each line of the control plane begins a new file: who only makes a token moves none.
    const log = await createFileAudit({ path, clock, logger: silentLogger, maxBytes: 100 });
    await log.record({ action: 'a', outcome: 'allowed' });
    const id = 'spiffe://cluster.local/ns/default/sa/cart';
    const made = await createJoinTokenIn(folder, id, { actor: 'root', clock });
    expect(await lines(path)).toMatchObject([
      { action: 'a' },
      {
        action: 'join-token.create',
        outcome: 'allowed',
        actor: 'root',
        authenticator: 'data-folder',
        target: id,
      },
    ]);
    expect(await readFile(path, 'utf8')).not.toContain(made.token.reveal());
    expect((await readdir(folder)).sort()).toEqual(['audit.jsonl', 'join-tokens']);
    await log.close();
  });

  test('is no way around: a token that can not be recorded is not made', async () => {
    const folder = await newFolder();
    await mkdir(join(folder, 'audit.jsonl'));
    const making = createJoinTokenIn(folder, 'spiffe://cluster.local/ns/default/sa/cart', { clock });
    await expect(making).rejects.toMatchObject({ code: 'INMESH_STORE_WRITE' });
    expect(await readdir(folder)).toEqual(['audit.jsonl']);
  });

  test('stays one line per record, whatever callers put into it', async () => {
    const path = join(await newFolder(), 'audit.jsonl');
    const log = await createFileAudit({ path, clock, logger: silentLogger });
    const target = '\n{"action":"forged"}\r\n\u2028';
    await log.record({ action: 'a', outcome: 'refused', target });
    await log.record({ action: 'b', outcome: 'refused', target: 'x'.repeat(1_000_000) });
    const read = await lines(path);
    expect(read.map(({ action }) => action)).toEqual(['a', 'b']);
    expect(read[0]?.target).toBe(target);
    expect(read[1]?.target).toHaveLength(1_025);
    await log.close();
  });

  test('begins on a new line after a crash cut the last one', async () => {
    const path = join(await newFolder(), 'audit.jsonl');
    await appendFile(path, '{"action":"whole"}\n{"action":"cu');
    const log = await createFileAudit({ path, clock, logger: silentLogger });
    await log.record({ action: 'next', outcome: 'allowed' });
    await log.close();
    const text = await readFile(path, 'utf8');
    expect(text.split('\n').at(-2)).toContain('"next"');
    expect(text.split('\n').at(-3)).toBe('{"action":"cu');
  });

  test('keeps so many files of such a size', async () => {
    const folder = await newFolder();
    const path = join(folder, 'audit.jsonl');
    const log = await createFileAudit({ path, clock, logger: silentLogger, maxBytes: 200, keep: 2 });
    for (let index = 0; index < 10; index++)
      await log.record({ action: `a${index}`, outcome: 'allowed', target: 'x'.repeat(100) });
    await log.close();
    expect((await readdir(folder)).sort()).toEqual(['audit.jsonl', 'audit.jsonl.1', 'audit.jsonl.2']);
    expect((await lines(path)).at(-1)?.action).toBe('a9');
  });

  test('counts what nobody waits for and more of it comes than can be written', async () => {
    const path = join(await newFolder(), 'audit.jsonl');
    const log = await createFileAudit({ path, clock, logger: silentLogger });
    for (let index = 0; index < 5_000; index++) log.note({ action: 'knock', outcome: 'refused' });
    await log.close();
    const read = await lines(path);
    expect(read.length).toBeLessThan(2_100);
    expect(read.find(({ action }) => action === 'audit.left-out')).toMatchObject({ outcome: 'failed' });
  });

  test('rejects when it can not be written, so that nothing happens unrecorded', async () => {
    const log = await createFileAudit({ path: '/dev/full', clock, logger: silentLogger });
    await expect(log.record({ action: 'a', outcome: 'allowed' })).rejects.toMatchObject({
      code: 'INMESH_STORE_WRITE',
    });
    await log.close();
    await expect(log.record({ action: 'a', outcome: 'allowed' })).rejects.toMatchObject({
      code: 'INMESH_STORE_WRITE',
    });
  });

  test('shows no secret', async () => {
    const path = join(await newFolder(), 'audit.jsonl');
    const log = await createFileAudit({ path, clock, logger: silentLogger });
    await log.record({ action: 'a', outcome: 'allowed', target: `${new Secret('hunter2')}` });
    await log.close();
    expect(await readFile(path, 'utf8')).not.toContain('hunter2');
  });
});

test('without a disk the records go to the log, refusals as warnings', async () => {
  const seen: unknown[] = [];
  const logger: Logger = {
    ...silentLogger,
    info: (fields) => seen.push(['info', fields]),
    warn: (fields) => seen.push(['warn', fields]),
  };
  const log = createLoggedAudit(logger);
  await log.record({ action: 'a', outcome: 'allowed', peer: undefined });
  log.note({ action: 'b', outcome: 'refused' });
  await log.close();
  expect(seen).toEqual([
    ['info', { action: 'a', outcome: 'allowed' }],
    ['warn', { action: 'b', outcome: 'refused' }],
  ]);
});
