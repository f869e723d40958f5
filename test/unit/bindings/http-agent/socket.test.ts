import { describe, expect, test } from 'vitest';
import { AgentSocket, type SocketEvents } from '../../../../src/bindings/http-agent/socket.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

function open(change: Partial<SocketEvents> = {}) {
  const clock = createFakeClock();
  const events: SocketEvents = {
    written: (_, done) => done(),
    wanted() {},
    ended: (done) => done(),
    closed() {},
    ...change,
  };
  const socket = new AgentSocket(false, clock, () => events);
  return { clock, socket };
}

describe('the timeout of a socket', () => {
  test('comes once after so long without a byte, and again after the next', async () => {
    const { clock, socket } = open();
    let told = 0;
    socket.on('timeout', () => told++);
    socket.setTimeout(100);
    await clock.advance(99);
    socket.write('x');
    await clock.advance(99);
    expect(told).toBe(0);
    await clock.advance(3);
    expect(told).toBe(1);
    await clock.advance(1000);
    expect(told).toBe(1);
    socket.deliver(Buffer.from('x'));
    await clock.advance(101);
    expect(told).toBe(2);
  });

  test('0 takes it back, with its listener', async () => {
    const { clock, socket } = open();
    let told = 0;
    const listener = () => told++;
    socket.setTimeout(100, listener);
    socket.setTimeout(0, listener);
    await clock.advance(1000);
    expect([told, socket.listenerCount('timeout')]).toEqual([0, 0]);
  });

  test('ends with the socket', async () => {
    const { clock, socket } = open();
    let told = 0;
    socket.setTimeout(100, () => told++);
    socket.destroy();
    await clock.advance(1000);
    expect(told).toBe(0);
  });
});

test('destroySoon lets what is written leave first', async () => {
  const written: string[] = [];
  const { socket } = open({
    written: (chunks, done) => {
      written.push(...chunks.map(String));
      setImmediate(done);
    },
  });
  socket.write('a');
  socket.write('b');
  socket.destroySoon();
  await new Promise((resolve) => socket.once('close', resolve));
  expect(written).toEqual(['a', 'b']);
});
