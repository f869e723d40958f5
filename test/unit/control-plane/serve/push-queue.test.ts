import { describe, expect, test } from 'vitest';
import { createPushQueue, type Pushed } from '../../../../src/control-plane/serve/push-queue.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

function world(maxTransfers = 100) {
  const clock = createFakeClock();
  const queue = createPushQueue({ maxTransfers, clock });
  const pushed: string[] = [];
  const session = (name: string, { steps = 0, takesMs = 0, isBlocked = false } = {}): Pushed => ({
    *prepare() {
      for (let step = 0; step < steps; step++) {
        clock.block(takesMs);
        yield;
      }
    },
    push() {
      pushed.push(name);
      return isBlocked;
    },
  });
  return { clock, queue, pushed, session };
}

describe('the push queue', () => {
  test('gives each session one turn, however often it is added', async () => {
    const { queue, pushed, session } = world();
    const a = session('a');
    queue.add(a);
    queue.add(a);
    queue.add(session('b'));
    expect(pushed).toEqual([]);
    await turn();
    expect(pushed).toEqual(['a', 'b']);
  });

  test('lets other work have its turn when a preparation takes long', async () => {
    const { queue, pushed, session } = world();
    queue.add(session('slow', { steps: 5, takesMs: 4 }));
    queue.add(session('next'));
    await turn();
    expect(pushed).toEqual([]);
    await turn();
    expect(pushed).toEqual([]);
    await turn();
    expect(pushed).toEqual(['slow', 'next']);
  });

  test('sends to a bounded number of clients at a time, and waits for none of them for long', async () => {
    const { clock, queue, pushed, session } = world(1);
    const a = session('a', { isBlocked: true });
    queue.add(a);
    queue.add(session('b', { isBlocked: true }));
    queue.add(session('c'));
    await turn();
    expect(pushed).toEqual(['a']);
    queue.release(a);
    await turn();
    expect(pushed).toEqual(['a', 'b']);
    await clock.advance(1_000);
    expect(pushed).toEqual(['a', 'b', 'c']);
  });

  test('forgets who is gone', async () => {
    const { queue, pushed, session } = world();
    const a = session('a');
    queue.add(a);
    queue.remove(a);
    await turn();
    expect(pushed).toEqual([]);
  });
});
