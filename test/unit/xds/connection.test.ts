import { describe, expect, test } from 'vitest';
import { MeshError } from '../../../src/runtime/errors.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { createConnection } from '../../../src/xds/connection.js';
import type { StreamListener } from '../../../src/xds/stream.js';

const down = () => new MeshError('INMESH_CONTROL_PLANE_UNAVAILABLE', 'down');

function start({
  random = () => 0.5,
  open,
  longestWaitMs,
}: {
  random?: () => number;
  longestWaitMs?: () => number;
  open?: (listener: StreamListener) => void;
} = {}) {
  const clock = createFakeClock();
  const openedAt: number[] = [];
  const events: string[] = [];
  let current: StreamListener | undefined;
  let closed = 0;
  const connection = createConnection({
    clock,
    random,
    ...(longestWaitMs !== undefined && { longestWaitMs }),
    method: '/m',
    open: async (_, listener) => {
      openedAt.push(clock.now());
      current = listener;
      open?.(listener);
      return { send: (bytes) => events.push(`sent ${bytes.length}`), close: () => closed++ };
    },
    listener: {
      onConnecting: () => events.push('connecting'),
      onStream: (send) => send(new Uint8Array(3)),
      onReady: () => events.push('ready'),
      *onMessage(message) {
        if (message.length === 9) yield;
        if (message.length === 0) throw new MeshError('INMESH_XDS_DECODE', 'empty');
        events.push(`got ${message.length}`);
      },
      onLost: (error) => events.push(`lost ${error.code}`),
    },
  });
  return { clock, connection, openedAt, events, stream: () => current, closed: () => closed };
}

const gaps = (times: readonly number[]) =>
  times.slice(1).map((time, i) => Math.round(time - (times[i] ?? 0)));

describe('the connection to the control plane', () => {
  test('attempts are 1 s apart, growing by 1.6 up to 120 s', async () => {
    const { clock, connection, openedAt } = start({
      open: () => {
        throw down();
      },
    });
    await clock.advance(600_000);
    await connection.close();
    expect(gaps(openedAt).slice(0, 13)).toEqual([
      1000, 1600, 2560, 4096, 6554, 10486, 16777, 26844, 42950, 68719, 109951, 120000, 120000,
    ]);
  });

  test('does not wait longer than its owner finds right at that moment', async () => {
    let longestMs = 2000;
    const { clock, connection, openedAt } = start({
      longestWaitMs: () => longestMs,
      open: () => {
        throw down();
      },
    });
    await clock.advance(5000);
    longestMs = Number.POSITIVE_INFINITY;
    await clock.advance(20_000);
    await connection.close();
    // A tenth less than allowed, by the draw of 0.5 out of a fifth.
    expect(gaps(openedAt).slice(0, 6)).toEqual([1000, 1600, 1800, 1800, 6554, 10486]);
  });

  test.each([
    [0, 800],
    [0.999999, 1200],
  ])('the wait is spread by 20 %% (draw %d)', async (draw, wait) => {
    const { clock, connection, openedAt } = start({
      random: () => draw,
      open: () => {
        throw down();
      },
    });
    await clock.advance(1500);
    await connection.close();
    expect(gaps(openedAt)[0]).toBe(wait);
  });

  test('starts over only after a stream that brought a response', async () => {
    const { clock, connection, openedAt, stream } = start();
    for (let i = 0; i < 3; i++) {
      await clock.advance(0);
      stream()?.onReady();
      stream()?.onEnd(down());
      await clock.advance(1000 * 1.6 ** i);
    }
    stream()?.onMessage(new Uint8Array(1));
    stream()?.onEnd(down());
    await clock.advance(1000);
    await connection.close();
    expect(gaps(openedAt)).toEqual([1000, 1600, 2560, 1000]);
  });

  test('the wait is counted from the start of the stream, but clients do not come back all at once', async () => {
    const { clock, connection, openedAt, stream } = start();
    for (const lifeMs of [300, 900, 30_000]) {
      await clock.advance(0);
      stream()?.onMessage(new Uint8Array(1));
      await clock.advance(lifeMs);
      stream()?.onEnd(down());
      await clock.advance(1000 - Math.min(lifeMs, 900));
    }
    await connection.close();
    // A tenth of a second is the draw of 0.5 out of the fifth that is spread.
    expect(gaps(openedAt)).toEqual([1000, 1000, 30_100]);
  });

  test('streams that were healthy never make the waits grow (as they do in grpc-js-xds 1.14)', async () => {
    const { clock, connection, openedAt, stream } = start();
    for (let i = 0; i < 8; i++) {
      await clock.advance(0);
      stream()?.onMessage(new Uint8Array(1));
      await clock.advance(3000);
      stream()?.onEnd(down());
      await clock.advance(100);
    }
    await connection.close();
    expect(gaps(openedAt)).toEqual(Array.from({ length: 8 }, () => 3100));
  });

  test('a message that can not be taken ends the stream and does not count as a response', async () => {
    const { clock, connection, openedAt, stream, events, closed } = start();
    for (let i = 0; i < 2; i++) {
      await clock.advance(0);
      stream()?.onMessage(new Uint8Array(0));
      await clock.advance(1000 * 1.6 ** i);
    }
    expect(gaps(openedAt)).toEqual([1000, 1600]);
    expect(events).toContain('lost INMESH_XDS_DECODE');
    expect(closed()).toBe(2);
    await connection.close();
  });

  test('tells of each step in order', async () => {
    const { clock, connection, stream, events } = start();
    await clock.advance(0);
    stream()?.onReady();
    stream()?.onMessage(new Uint8Array(7));
    stream()?.onEnd(down());
    await clock.advance(0);
    await connection.close();
    expect(events).toEqual([
      'connecting',
      'sent 3',
      'ready',
      'got 7',
      'lost INMESH_CONTROL_PLANE_UNAVAILABLE',
    ]);
  });

  test('close ends the stream, or the wait, and leaves no timer', async () => {
    const open = start();
    await open.clock.advance(0);
    await open.connection.close();
    await open.connection.close();
    expect(open.closed()).toBe(1);
    expect(open.events).not.toContain('lost INMESH_CLOSED');

    const waiting = start({
      open: () => {
        throw down();
      },
    });
    await waiting.clock.advance(10);
    await waiting.connection.close();
    await waiting.clock.advance(60_000);
    expect(waiting.openedAt).toHaveLength(1);
    expect(waiting.clock.pending).toBe(0);
  });
});
