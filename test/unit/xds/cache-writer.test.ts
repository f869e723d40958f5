import { expect, test } from 'vitest';
import { silentLogger } from '../../../src/runtime/log.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { createCacheWriter } from '../../../src/xds/cache-writer.js';
import type { StoredResource } from '../../../src/xds/store.js';

function start(bytes: number) {
  const clock = createFakeClock();
  const savedAt: number[] = [];
  let current: readonly StoredResource[] = [];
  const change = () => {
    current = [{ typeUrl: 't', name: 'n', version: '', bytes: new Uint8Array(bytes) }];
    writer.call();
  };
  const writer = createCacheWriter({
    cache: {
      load: async () => undefined,
      save: async () => {
        savedAt.push(clock.now());
      },
    },
    clock,
    logger: silentLogger,
    collect: () => current,
  });
  return { clock, savedAt, change, writer };
}

test('a small configuration is saved a second after it changed, and every five seconds while it goes on changing', async () => {
  const { clock, savedAt, change, writer } = start(10);
  for (let i = 0; i < 40; i++) {
    change();
    await clock.advance(500);
  }
  await clock.advance(10_000);
  expect(savedAt).toEqual([5000, 10_000, 15_000, 20_000]);
  await writer.close();
  expect(savedAt).toHaveLength(4);
  expect(clock.pending).toBe(0);
});

test('the larger it is, the seldomer it is written: a megabyte per second at most', async () => {
  const { clock, savedAt, change, writer } = start(20 * 1024 * 1024);
  change();
  await clock.advance(1000);
  expect(savedAt).toEqual([1000]);
  change();
  await clock.advance(19_000);
  expect(savedAt).toHaveLength(1);
  await clock.advance(2000);
  expect(savedAt).toHaveLength(2);
  change();
  await writer.close();
  expect(savedAt).toHaveLength(3);
});
