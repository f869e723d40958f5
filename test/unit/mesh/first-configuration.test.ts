import { expect, test } from 'vitest';
import { FirstConfiguration } from '../../../src/mesh/first-configuration.js';
import { EMPTY_SNAPSHOT } from '../../../src/model/snapshot.js';
import { createSignal } from '../../../src/runtime/signal.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import type { ConnectionState } from '../../../src/xds/client-api.js';
import type { PublishedSnapshot } from '../../../src/xds/synchronizer.js';

const OURS = 'http://reviews:9080';
const OTHERS = [
  'https://example.com',
  'http://192.0.2.1:8080',
  'tcp://db.example.com',
  'tcp://[2001:db8::1]',
];
const LOCAL = ['http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:80', 'tcp://127.0.0.1'];

function setUp() {
  const clock = createFakeClock();
  const connected = createSignal<ConnectionState>({ state: 'connecting', since: 0 });
  const published = createSignal<PublishedSnapshot>({ source: 'none', snapshot: EMPTY_SNAPSHOT });
  const first = new FirstConfiguration({ connected, published }, clock, 15_000);
  /** Tells when a wait ends. */
  const waits = (origin: string) => {
    const wait = { isOver: false };
    void first.wait(origin).then(() => {
      wait.isOver = true;
    });
    return wait;
  };
  return {
    clock,
    first,
    waits,
    connect: (state: ConnectionState['state']) => connected.set({ state, since: 0 }),
    publish: () => published.set({ source: 'control-plane', snapshot: EMPTY_SNAPSHOT }),
  };
}

test('any name waits while the configuration may be on its way, but those of this machine', () => {
  const { first, connect } = setUp();
  for (const state of ['connecting', 'connected'] as const) {
    connect(state);
    for (const origin of [OURS, ...OTHERS]) {
      expect(first.isAwaitedBy(origin), origin).toBe(true);
      expect(first.isAwaitedBy(new URL(origin)), origin).toBe(true);
    }
    for (const origin of LOCAL) expect(first.isAwaitedBy(origin), origin).toBe(false);
  }
});

test('when the control plane can not be reached only names that look like the mesh’s wait', async () => {
  const { first, connect, waits, clock } = setUp();
  const [ours, ...others] = [OURS, ...OTHERS].map(waits);
  await clock.advance(1000);
  expect(others.map(({ isOver }) => isOver)).toEqual(OTHERS.map(() => false));
  connect('disconnected');
  await clock.advance(0);
  expect(others.map(({ isOver }) => isOver)).toEqual(OTHERS.map(() => true));
  expect(OTHERS.filter((origin) => first.isAwaitedBy(origin))).toEqual([]);
  expect(first.isAwaitedBy(OURS)).toBe(true);
  await clock.advance(13_999);
  expect(ours?.isOver).toBe(false);
  await clock.advance(1);
  expect(ours?.isOver).toBe(true);
  expect(clock.pending).toBe(0);
});

test('other names are told as soon as the configuration is there, those of the mesh when its identity is, too', async () => {
  const { first, connect, publish, waits, clock } = setUp();
  connect('connected');
  const [ours, other] = [waits(OURS), waits('https://example.com')];
  publish();
  await clock.advance(0);
  expect([ours.isOver, other.isOver]).toEqual([false, true]);
  expect(first.isAwaitedBy('https://example.com')).toBe(false);
  first.enter();
  await clock.advance(0);
  expect(ours.isOver).toBe(true);
  expect(first.isAwaitedBy(OURS)).toBe(false);
  expect(clock.pending).toBe(0);
});

test('a control plane that never sends any holds other names up only so long', async () => {
  const { first, connect, waits, clock } = setUp();
  connect('connected');
  const other = waits('https://example.com');
  await clock.advance(14_999);
  expect(other.isOver).toBe(false);
  await clock.advance(1);
  expect(other.isOver).toBe(true);
  expect(first.isAwaitedBy('https://example.com')).toBe(false);
  expect(clock.pending).toBe(0);
});
