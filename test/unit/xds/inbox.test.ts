import { describe, expect, test } from 'vitest';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { Inbox } from '../../../src/xds/inbox.js';

/** Each message is worked on for as many milliseconds as its first byte says, with a pause after each. */
function start() {
  const clock = createFakeClock();
  const events: string[] = [];
  const inbox = new Inbox({
    clock,
    *take(message) {
      const [ms = 0] = message;
      for (let i = 0; i < ms; i++) {
        clock.block(1);
        events.push(`${ms} works`);
        yield;
      }
      if (ms === 3) throw new Error('three');
    },
    onTaken: () => events.push('taken'),
    onFailed: (error) => events.push(String(error)),
  });
  return { clock, events, inbox, push: (ms: number) => inbox.push(new Uint8Array([ms])) };
}

const count = (events: readonly string[], event: string) => events.filter((one) => one === event).length;

describe('the inbox of a stream', () => {
  test('takes a small message at once', () => {
    const { events, push } = start();
    push(2);
    expect(events).toEqual(['2 works', '2 works', 'taken']);
  });

  test('works on a large one for five milliseconds at a time, and lets others run between', async () => {
    const { clock, events, push } = start();
    push(12);
    expect(events).toHaveLength(5);
    clock.schedule(0, () => events.push('another task'));
    await clock.advance(0);
    const other = events.indexOf('another task');
    expect(other).toBeGreaterThanOrEqual(5);
    expect(other).toBeLessThan(11);
    await clock.advance(100);
    expect(count(events, '12 works')).toBe(12);
    expect(events.at(-1)).toBe('taken');
  });

  test('takes messages in their order, also those that come during the work', async () => {
    const { clock, events, push } = start();
    push(8);
    push(1);
    push(2);
    expect(count(events, '1 works')).toBe(0);
    await clock.advance(100);
    expect(events.filter((event) => event !== '8 works')).toEqual([
      'taken',
      '1 works',
      'taken',
      '2 works',
      '2 works',
      'taken',
    ]);
  });

  test('says what could not be taken, and takes nothing after it', async () => {
    const { clock, events, push } = start();
    push(8);
    push(3);
    push(1);
    await clock.advance(100);
    expect(events.at(-1)).toBe('Error: three');
    expect(count(events, '1 works')).toBe(0);
  });

  test('forgets everything when it is closed', async () => {
    const { clock, events, inbox, push } = start();
    push(8);
    push(1);
    inbox.close();
    await clock.advance(100);
    expect(events).toHaveLength(5);
    expect(clock.pending).toBe(0);
  });
});
