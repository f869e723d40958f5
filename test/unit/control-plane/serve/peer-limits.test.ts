import { expect, test } from 'vitest';
import { addressOf, PeerLimits } from '../../../../src/control-plane/serve/peer-limits.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

const count = (limits: PeerLimits, address: string, times: number) =>
  Array.from({ length: times }, () => limits.take(address)).filter(Boolean).length;

test('an address has a burst, and then its rate', async () => {
  const clock = createFakeClock();
  const limits = new PeerLimits({ perSecond: 10, burst: 40, countsLoopback: false }, clock);
  expect(count(limits, '10.0.0.1', 1_000)).toBe(40);
  expect(count(limits, '10.0.0.2', 1_000)).toBe(40);
  await clock.advance(501);
  expect(count(limits, '10.0.0.1', 1_000)).toBe(5);
});

test('a network of IPv6 counts as one address, IPv4 in IPv6 as IPv4', () => {
  const limits = new PeerLimits({ perSecond: 1, burst: 4, countsLoopback: false }, createFakeClock());
  expect(count(limits, '2001:db8::1', 2) + count(limits, '2001:db8:0:0:ffff::9', 9)).toBe(4);
  expect(count(limits, '2001:db8:0:1::1', 9)).toBe(4);
  expect(count(limits, '::ffff:10.0.0.1', 3) + count(limits, '10.0.0.1', 9)).toBe(4);
});

test('processes of this machine are counted when that is wanted', () => {
  const clock = createFakeClock();
  const limits = { perSecond: 1, burst: 1 };
  expect(count(new PeerLimits({ ...limits, countsLoopback: false }, clock), '127.0.0.1', 9)).toBe(9);
  expect(count(new PeerLimits({ ...limits, countsLoopback: true }, clock), '127.0.0.1', 9)).toBe(1);
});

test('memory is bounded, and a flood of addresses makes nobody else wait', () => {
  const limits = new PeerLimits({ perSecond: 1, burst: 2, countsLoopback: false }, createFakeClock());
  for (let index = 0; index < 30_000; index++)
    limits.take(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`);
  expect(count(limits, '192.0.2.1', 9)).toBe(2);
});

test.each([
  ['10.0.0.1:4711', '10.0.0.1'],
  ['[2001:db8::1]:80', '2001:db8::1'],
  ['2001:db8::1:80', '2001:db8::1'],
])('%s is at %s', (peer, address) => expect(addressOf(peer)).toBe(address));
