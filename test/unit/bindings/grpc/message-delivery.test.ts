import { Metadata } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { MessageDelivery } from '../../../../src/bindings/grpc/message-delivery.js';

const status = (code: number) => ({ code, details: '', metadata: new Metadata() });
const tick = () => new Promise((resolve) => setImmediate(resolve));

function delivery(onMessage: (delivery: MessageDelivery) => void = () => {}) {
  const seen: string[] = [];
  const made: MessageDelivery = new MessageDelivery({
    onReceiveMetadata: () => {},
    onReceiveMessage(message: Buffer) {
      seen.push(String(message));
      onMessage(made);
    },
    onReceiveStatus: ({ code }) => void seen.push(`status ${code}`),
  });
  return { seen, made };
}

describe('messages of a call', () => {
  test('come one for each read that was asked for, never within the call that brought them', async () => {
    const { seen, made } = delivery();
    made.push(Buffer.from('a'));
    made.push(Buffer.from('b'));
    made.startRead();
    expect(seen).toEqual([]);
    await tick();
    expect(seen).toEqual(['a']);
    made.startRead();
    await tick();
    expect(seen).toEqual(['a', 'b']);
  });

  test('the status follows the last of them', async () => {
    const { seen, made } = delivery();
    made.push(Buffer.from('a'));
    made.finish(status(0));
    await tick();
    expect(seen).toEqual([]);
    made.startRead();
    await tick();
    expect(seen).toEqual(['a', 'status 0']);
  });

  test('a call that is given up tells so at once, and nothing after it', async () => {
    const { seen, made } = delivery();
    made.push(Buffer.from('a'));
    made.abandon(status(1));
    made.push(Buffer.from('b'));
    made.startRead();
    await tick();
    expect(seen).toEqual(['status 1']);
  });

  test('many that are waiting do not pile up on the stack', async () => {
    const { seen, made } = delivery((one) => one.startRead());
    for (let i = 0; i < 50_000; i++) made.push(Buffer.from('x'));
    made.startRead();
    made.finish(status(0));
    await tick();
    expect(seen).toHaveLength(50_001);
  });

  test('those that wait ask the source to wait, until half of them is gone', async () => {
    const { made } = delivery((one) => one.startRead());
    let resumed = 0;
    made.from({ resume: () => resumed++ });
    expect(made.push(Buffer.alloc(30_000))).toBe(true);
    expect(made.push(Buffer.alloc(40_000))).toBe(false);
    expect(resumed).toBe(0);
    made.startRead();
    await tick();
    expect(resumed).toBe(1);
  });
});
