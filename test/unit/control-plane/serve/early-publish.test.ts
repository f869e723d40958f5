import { expect, test } from 'vitest';
import { earlyPublish } from '../../../../src/control-plane/serve/early-publish.js';
import { debounce } from '../../../../src/runtime/debounce.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

function world() {
  const clock = createFakeClock();
  let published = 0;
  const push = debounce(() => published++, { quietMs: 100_000, maxMs: 100_000 }, clock);
  const come = earlyPublish(push, clock);
  /** Something changes just before a client comes; whether it was published for it. */
  const isSeen = () => {
    const before = published;
    push.call();
    come();
    return published > before;
  };
  return { clock, come, isSeen, published: () => published };
}

test('a client that comes while a change waits has it published', () => {
  expect(world().isSeen()).toBe(true);
});

test('nothing is published when nothing waits, and that is not counted', () => {
  const { come, isSeen, published } = world();
  for (let client = 0; client < 50; client++) come();
  expect([published(), isSeen()]).toEqual([0, true]);
});

test('of a herd the first ten have it at once, then one a second', async () => {
  const { clock, isSeen } = world();
  const seen = Array.from({ length: 30 }, () => isSeen());
  expect(seen).toEqual(Array.from({ length: 30 }, (_, client) => client < 10));
  await clock.advance(1_000);
  expect([isSeen(), isSeen()]).toEqual([true, false]);
});
