import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { Dial, DialCallback } from '../../../../src/bindings/upstream/dial.js';
import { alternateFamilies, dialFirst } from '../../../../src/bindings/upstream/happy-eyeballs.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

describe('the order of addresses', () => {
  test.each([
    [
      ['::1', '::2', '10.0.0.1'],
      ['::1', '10.0.0.1', '::2'],
    ],
    [
      ['10.0.0.1', '::1', '::2', '10.0.0.2'],
      ['10.0.0.1', '::1', '10.0.0.2', '::2'],
    ],
    [
      ['10.0.0.1', '10.0.0.2'],
      ['10.0.0.1', '10.0.0.2'],
    ],
    [
      ['::1', '10.0.0.1', '10.0.0.2'],
      ['::1', '10.0.0.1', '10.0.0.2'],
    ],
    [[], []],
  ])('%j becomes %j', (given, expected) => {
    const addresses = given.map((address) => ({ address, port: 80 }));
    expect(alternateFamilies(addresses).map(({ address }) => address)).toEqual(expected);
  });
});

/** A race of so many addresses, whose attempts the test ends. */
function race(count: number, timeoutMs = 5000) {
  const clock = createFakeClock();
  const attempts: { readonly index: number; readonly callback: DialCallback }[] = [];
  const cancelled: number[] = [];
  const dials = Array.from(
    { length: count },
    (_, index): Dial =>
      (_wanted, callback) => {
        attempts.push({ index, callback });
        return () => void cancelled.push(index);
      },
  );
  const results: (string | null)[] = [];
  const dial = dialFirst(dials, clock, { ms: timeoutMs, error: () => new Error('too late') });
  const giveUp = dial([], (error, dialed) => results.push(dialed?.alpn ?? error?.message ?? null));
  const begun = () => attempts.map(({ index }) => index);
  const connect = (index: number) =>
    attempts[index]?.callback(null, {
      socket: new Socket(),
      alpn: `from ${index}`,
      peerId: undefined,
      expiresAtMs: 0,
    });
  const fail = (index: number) => attempts[index]?.callback(new Error(`${index} failed`));
  return { clock, begun, cancelled, results, connect, fail, giveUp };
}

describe('a race of addresses', () => {
  test('begins one after the other, and the first connection ends the rest', async () => {
    const { clock, begun, cancelled, results, connect } = race(3);
    expect(begun()).toEqual([0]);
    await clock.advance(299);
    expect(begun()).toEqual([0]);
    await clock.advance(1);
    expect(begun()).toEqual([0, 1]);
    connect(1);
    expect(results).toEqual(['from 1']);
    expect(cancelled).toEqual([0]);
    await clock.advance(10_000);
    expect(begun()).toEqual([0, 1]);
    expect(clock.pending).toBe(0);
  });

  test('goes on at once when an attempt fails, and fails with the last one', async () => {
    const { clock, begun, results, fail } = race(2);
    fail(0);
    expect(begun()).toEqual([0, 1]);
    fail(1);
    expect(results).toEqual(['1 failed']);
    expect(clock.pending).toBe(0);
  });

  test('waits for those that are still under way', async () => {
    const { clock, results, connect, fail } = race(2);
    await clock.advance(300);
    fail(1);
    expect(results).toEqual([]);
    connect(0);
    expect(results).toEqual(['from 0']);
  });

  test('has one time limit for all', async () => {
    const { clock, cancelled, results } = race(2, 1000);
    await clock.advance(1000);
    expect(results).toEqual(['too late']);
    expect(cancelled).toEqual([0, 1]);
    expect(clock.pending).toBe(0);
  });

  test('ends without a word when nobody wants the connection any more', async () => {
    const { clock, cancelled, results, giveUp } = race(2);
    await clock.advance(300);
    giveUp();
    await clock.advance(10_000);
    expect(cancelled).toEqual([0, 1]);
    expect(results).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
