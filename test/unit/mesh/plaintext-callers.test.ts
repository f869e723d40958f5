import { describe, expect, test } from 'vitest';
import { decodeNode, encodeNode } from '../../../src/codec/node.js';
import { PlaintextCallers } from '../../../src/mesh/plaintext-callers.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { nodeOf } from '../control-plane/compile/mesh.js';

const WEB = {
  workload: 'web',
  namespace: 'shop',
  canonicalService: 'web',
  canonicalRevision: 'v1',
  app: 'web',
  version: 'v1',
  cluster: '',
};

function setUp() {
  const clock = createFakeClock();
  const told = { count: 0 };
  const callers = new PlaintextCallers({ clock }, () => {
    told.count++;
  });
  const from = (remoteAddress: string, localPort = 80) => ({ remoteAddress, localPort });
  return { clock, callers, told, from };
}

describe('callers without TLS', () => {
  test('are counted by address and port; let in and refused apart', () => {
    const { callers, from, clock } = setUp();
    callers.seen(from('10.0.0.1'), false);
    callers.seen(from('::ffff:10.0.0.1'), false);
    callers.seen(from('10.0.0.1'), true);
    callers.seen(from('10.0.0.1', 81), false);
    expect(callers.list()).toEqual([
      { port: 80, source: '10.0.0.1', workload: '', connections: 2, refused: 1, lastAtMs: clock.wallTime() },
      { port: 81, source: '10.0.0.1', workload: '', connections: 1, refused: 0, lastAtMs: clock.wallTime() },
    ]);
  });

  test('that are new are told of soon, numbers now and then', async () => {
    const { callers, from, clock, told } = setUp();
    callers.seen(from('10.0.0.1'), false);
    callers.seen(from('10.0.0.2'), false);
    await clock.advance(2_000);
    expect(told.count).toBe(1);
    for (let i = 0; i < 100; i++) callers.seen(from('10.0.0.1'), false);
    await clock.advance(59_000);
    expect(told.count).toBe(1);
    callers.seen(from('10.0.0.3'), false);
    await clock.advance(2_000);
    expect(told.count).toBe(2);
    await clock.advance(120_000);
    expect(told.count).toBe(2);
  });

  test('may say who they are', async () => {
    const { callers, from, clock, told } = setUp();
    callers.seen(from('10.0.0.1'), false);
    await clock.advance(2_000);
    callers.named(from('10.0.0.1'), WEB);
    callers.named(from('10.0.0.1'), WEB);
    callers.named(from('10.0.0.1'), { ...WEB, workload: '' });
    expect(callers.list()[0]?.workload).toBe('web.shop');
    await clock.advance(2_000);
    expect(told.count).toBe(2);
  });

  test('beyond a number share one entry, whatever they say', () => {
    const { callers, from } = setUp();
    for (let i = 0; i < 1_000; i++) callers.seen(from(`10.0.${i >> 8}.${i & 255}`), false);
    callers.named(from('10.9.9.9'), WEB);
    expect(callers.list().length).toBe(201);
    expect(callers.list().at(-1)).toMatchObject({ source: '', workload: '', connections: 800 });
  });

  test('travel with the node', () => {
    const { callers, from } = setUp();
    callers.seen(from('10.0.0.1'), false);
    const node = nodeOf({ INMESH_PLAINTEXT: callers.list() });
    expect(decodeNode(encodeNode(node)).metadata.INMESH_PLAINTEXT).toEqual(callers.list());
    expect(decodeNode(encodeNode(nodeOf())).metadata.INMESH_PLAINTEXT).toBeUndefined();
  });
});
