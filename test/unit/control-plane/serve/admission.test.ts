import { describe, expect, test } from 'vitest';
import { createAdmission } from '../../../../src/control-plane/serve/admission.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

const started: number[] = [];
const enter = (admission: ReturnType<typeof createAdmission>, id: number, identity?: string) =>
  admission.enter(identity, () => started.push(id));

describe('streams are let in', () => {
  test('a second’s worth at once, the rest in their turn, and none that would wait too long', async () => {
    started.length = 0;
    const clock = createFakeClock();
    const admission = createAdmission({ streamsPerSecond: 10 }, clock);
    const kinds = Array.from({ length: 130 }, (_, id) => enter(admission, id).kind);
    // The tenth fills the second; the eleventh starts with it, then one every 100 ms.
    expect(started.length).toBe(11);
    expect(kinds.indexOf('refused')).toBe(111);
    await clock.advance(500);
    expect(started).toEqual(Array.from({ length: 16 }, (_, id) => id));
  });

  test('up to the limit of an identity, and again when one has left', () => {
    const admission = createAdmission({ streamsPerIdentity: 1 }, createFakeClock());
    const first = enter(admission, 1, 'a');
    expect(enter(admission, 2, 'a')).toEqual({
      kind: 'refused',
      reason: 'the identity has 1 streams already',
    });
    expect(enter(admission, 3, 'b').kind).toBe('admitted');
    expect(enter(admission, 4).kind).toBe('admitted');
    if (first.kind === 'admitted') {
      first.leave();
      first.leave();
    }
    expect(enter(admission, 5, 'a').kind).toBe('admitted');
    expect(enter(admission, 6, 'a').kind).toBe('refused');
  });

  test('one that leaves while it waits never starts', async () => {
    started.length = 0;
    const clock = createFakeClock();
    const admission = createAdmission({ streamsPerSecond: 1 }, clock);
    enter(admission, 1);
    enter(admission, 2);
    const third = enter(admission, 3);
    if (third.kind === 'admitted') third.leave();
    await clock.advance(5_000);
    expect(started).toEqual([1, 2]);
  });
});
