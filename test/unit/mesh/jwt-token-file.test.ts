import { expect, test } from 'vitest';
import { JwtTokenFile } from '../../../src/mesh/jwt-token-file.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = (expMs: number, name = 'a') =>
  `${part({ alg: 'none' })}.${part({ exp: expMs / 1000, sub: name })}.sig`;

function start(text: () => string) {
  const clock = createFakeClock();
  let reads = 0;
  const file = new JwtTokenFile({
    path: '/token',
    clock,
    random: () => 0.5,
    readFile: async () => {
      reads++;
      return text();
    },
  });
  return { clock, file, reads: () => reads, inMs: (ms: number) => clock.wallTime() + ms };
}

test('is read once for many calls, and again in its last minute while it is still used', async () => {
  let text = '';
  const { clock, file, reads, inMs } = start(() => text);
  const first = jwt(inMs(600_000));
  text = `${first}\n`;
  expect(await Promise.all([file.token(), file.token()])).toEqual([first, first]);
  expect(reads()).toBe(1);

  // 30 s before its end it counts as expired; in the minute before that it is renewed.
  const second = jwt(inMs(1_200_000), 'b');
  text = second;
  await clock.advance(515_000);
  expect(await file.token()).toBe(first);
  expect(await file.token()).toBe(second);
  expect(reads()).toBe(2);
});

test('an expired one is waited for', async () => {
  let text = '';
  const { clock, file, inMs } = start(() => text);
  text = jwt(inMs(100_000));
  await file.token();
  await clock.advance(80_000);
  const next = jwt(inMs(100_000), 'b');
  text = next;
  expect(await file.token()).toBe(next);
});

test('failures are not retried at once, and the file is looked at again after a while', async () => {
  let text: string | undefined;
  const { clock, file, reads, inMs } = start(() => {
    if (text === undefined) throw new Error('no such file');
    return text;
  });
  await expect(file.token()).rejects.toThrow(/INMESH_TOKEN_UNAVAILABLE.*can not be read/);
  text = jwt(inMs(600_000));
  await expect(file.token()).rejects.toThrow(/INMESH_TOKEN_UNAVAILABLE/);
  expect(reads()).toBe(1);
  await clock.advance(1000);
  expect(await file.token()).toBe(text);
});

test.each(['', 'abc', 'a.b.c', `${part({})}.${part({})}.x`, `${jwt(9e15)}\r\nx-evil: 1`])(
  '%j is no token',
  async (text) => {
    await expect(start(() => text).file.token()).rejects.toThrow(/holds no JWT/);
  },
);

test('one that has expired is refused', async () => {
  const { file, inMs } = start(() => '');
  const late = start(() => jwt(inMs(10_000)));
  await expect(late.file.token()).rejects.toThrow(/has expired/);
  expect(file).toBeDefined();
});
