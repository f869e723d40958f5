import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { core } from '../../../src/proto/xds.js';
import { completeType, ENGINES, EngineUnderTest, partialType } from './engine-fixtures.js';

const names = (...all: string[]) => new Set(all);
const kinds = (received: { changes: readonly { kind: string; name: string }[] }) =>
  received.changes.map(({ kind, name }) => `${kind} ${name}`);

describe.each(ENGINES)('the $label engine', ({ create: createEngine, respond, read }) => {
  function connected(type = completeType(), ...subscribed: string[]) {
    const engine = new EngineUnderTest(createEngine);
    engine.protocol.subscribe(type, names(...subscribed));
    engine.protocol.reconnect();
    return { engine, type };
  }

  test('sends the node with the first request of each stream, and at once when it changed', () => {
    const { engine, type } = connected(completeType(), '*');
    expect(read(engine.protocol.subscribe(partialType(), names('a')))?.node).toBeUndefined();
    const changed = engine.protocol.setNode(create(core.NodeSchema, { id: 'node-2' }));
    expect(read(changed)?.node).toBe('node-2');
    const again = engine.protocol.reconnect().map(read);
    expect(again.map((one) => one?.typeUrl)).toEqual([type.typeUrl, partialType().typeUrl]);
    expect(again.map((one) => one?.node)).toEqual(['node-2', undefined]);
  });

  test('sends nothing without a stream, and for no names', () => {
    const { engine, type } = connected(completeType(), 'a');
    engine.protocol.disconnect();
    expect(engine.protocol.subscribe(type, names('b'))).toBeUndefined();
    expect(engine.protocol.setNode(create(core.NodeSchema, { id: 'node-2' }))).toBeUndefined();
    expect(engine.protocol.refresh(type.typeUrl)).toBeUndefined();
    const other = new EngineUnderTest(createEngine);
    other.protocol.reconnect();
    expect(other.protocol.subscribe(type, names())).toBeUndefined();
  });

  test('gathers what changes during a pause into one request', () => {
    const { engine, type } = connected(partialType(), 'a');
    engine.protocol.pause(type.typeUrl);
    expect(engine.protocol.subscribe(type, names('a', 'b'))).toBeUndefined();
    expect(engine.protocol.subscribe(type, names('b', 'c'))).toBeUndefined();
    expect(read(engine.protocol.resume(type.typeUrl))).toMatchObject({ nonce: '' });
    expect(engine.protocol.resume(type.typeUrl)).toBeUndefined();
    engine.protocol.pause(type.typeUrl);
    expect(engine.protocol.reconnect()).toEqual([]);
    expect(read(engine.protocol.resume(type.typeUrl))).toMatchObject({ nonce: '', node: 'node-1' });
  });

  test('claims nothing towards another server', () => {
    const { engine, type } = connected(partialType(), 'a');
    engine.receive(respond(type, 'n1', [{ name: 'a', word: 'one', version: '1' }]));
    const [same] = engine.protocol.reconnect();
    const [other] = engine.protocol.reconnect(true);
    const fresh = new EngineUnderTest(createEngine);
    fresh.protocol.subscribe(type, names('a'));
    expect([other]).toEqual(fresh.protocol.reconnect());
    expect(same).not.toEqual(other);
  });

  test('acknowledges a good response by its nonce', () => {
    const { engine, type } = connected(completeType(), '*');
    const received = engine.receive(respond(type, 'n1', [{ name: 'a', word: 'one', version: '1' }]));
    expect(kinds(received)).toEqual(['updated a']);
    expect(read(received.reply)).toMatchObject({ nonce: 'n1', error: undefined, node: undefined });
  });

  test('applies good resources beside a bad one, and names resource and field of exactly that', () => {
    const { engine, type } = connected(partialType(), 'a', 'b', 'c');
    engine.receive(respond(type, 'n1', [{ name: 'a', word: 'one', version: '1' }]));
    const received = engine.receive(
      respond(type, 'n2', [
        { name: 'a', word: 'bad', version: '2' },
        { name: 'b', word: 'two', version: '2' },
        { name: 'c', word: 'two', version: '2' },
      ]),
    );
    expect(kinds(received)).toEqual(['rejected a', 'updated b', 'updated c']);
    expect(engine.value(type, 'a')).toBe('one');
    expect(engine.value(type, 'b')).toBe('two');
    expect(read(received.reply)).toMatchObject({
      nonce: 'n2',
      error: expect.stringMatching(/^PART a: [^;]*word: bad is not allowed[^;]*$/),
    });
  });

  test('passes over undecoded what nobody asked for, and decodes equal bytes once', () => {
    const { engine, type } = connected(partialType(), 'a', 'b');
    const list = [
      { name: 'a', word: 'one', version: '1' },
      { name: 'b', word: 'bad', version: '1' },
      { name: 'x', word: 'bad', version: '1' },
    ];
    engine.receive(respond(type, 'n1', list));
    expect(kinds(engine.receive(respond(type, 'n2', list)))).toEqual(['unchanged a', 'rejected b']);
    expect(type.decoded).toBe(2);
  });

  test('refuses a name that comes twice and keeps its value', () => {
    const { engine, type } = connected(completeType(), '*');
    engine.receive(respond(type, 'n1', [{ name: 'a', word: 'one' }]));
    const received = engine.receive(
      respond(type, 'n2', [
        { name: 'a', word: 'two' },
        { name: 'a', word: 'two' },
        { name: 'b', word: 'two' },
      ]),
    );
    expect(kinds(received)).toEqual(['rejected a', 'updated b']);
    expect(engine.value(type, 'a')).toBe('one');
    // The same bytes are good when they come alone.
    const alone = engine.receive(
      respond(type, 'n3', [
        { name: 'a', word: 'two' },
        { name: 'b', word: 'two' },
      ]),
    );
    expect(kinds(alone)).toEqual(['updated a', 'unchanged b']);
  });

  test('does not answer a response of a type nobody asked for', () => {
    const { engine } = connected(completeType(), '*');
    const received = engine.receive(respond(partialType(), 'n1', [{ name: 'a', word: 'one' }]));
    expect(received).toMatchObject({ changes: [], reply: undefined });
    expect(received.errors).toHaveLength(1);
  });

  test('renews by a heartbeat what it holds, and refuses one for what it does not', () => {
    const { engine, type } = connected(partialType(), 'a', 'b');
    engine.receive(respond(type, 'n1', [{ name: 'a', word: 'one', version: '1', ttlMs: 1500 }]));
    const received = engine.receive(
      respond(type, 'n1', [
        { name: 'a', version: '1', ttlMs: 1500 },
        { name: 'b', version: '1', ttlMs: 1500 },
      ]),
    );
    expect(received.changes).toMatchObject([
      { kind: 'unchanged', name: 'a', ttlMs: 1500 },
      { kind: 'rejected', name: 'b' },
    ]);
    expect(type.decoded).toBe(1);
  });

  test('refuses a heartbeat of another version, and a negative time to live', () => {
    const { engine, type } = connected(partialType(), 'a');
    engine.receive(respond(type, 'n1', [{ name: 'a', word: 'one', version: '1' }]));
    expect(kinds(engine.receive(respond(type, 'n2', [{ name: 'a', version: '2' }])))).toEqual(['rejected a']);
    const negative = engine.receive(respond(type, 'n3', [{ name: 'a', word: 'two', ttlMs: -1000 }]));
    expect(read(negative.reply)?.error).toMatch(/PART a: .*ttl: must not be negative/);
  });

  test('holds the same refusal back, longer each time, and sends another at once', () => {
    const { engine, type } = connected(partialType(), 'a', 'b');
    const bad = (nonce: string, word = 'bad') => engine.receive(respond(type, nonce, [{ name: 'a', word }]));
    expect(read(bad('n1').reply)?.error).toContain('bad');
    const waits = ['n2', 'n3', 'n4'].map((nonce) => {
      const { reply, withheld } = bad(nonce);
      expect(reply).toBeUndefined();
      expect(read(engine.protocol.resume(type.typeUrl))).toMatchObject({ nonce, error: expect.any(String) });
      return withheld?.delayMs ?? 0;
    });
    expect(waits[0]).toBeGreaterThanOrEqual(800);
    expect(waits[2]).toBeGreaterThan(waits[0] ?? 0);
    expect(read(bad('n5', 'bad too').reply)?.error).toContain('bad too');
  });

  test('hears why the server has no value, acknowledges that, and takes nothing away', () => {
    const { engine, type } = connected(completeType(), '*', 'b');
    engine.receive(respond(type, 'n1', [{ name: 'a', word: 'one' }]));
    const received = engine.receive(
      respond(
        type,
        'n2',
        [],
        [
          ['a', 7, 'not for you'],
          ['b', 5, ''],
          ['b', 0, 'fine'],
        ],
      ),
    );
    expect(received.changes).toMatchObject([
      { kind: 'failed', name: 'a', code: 7 },
      { kind: 'failed', name: 'b', code: 5 },
    ]);
    expect(received.changes[0]).toHaveProperty('error.message', expect.stringContaining('not for you'));
    expect(read(received.reply)).toMatchObject({ nonce: 'n2', error: undefined });
  });

  test('passes over errors of what nobody asked for, or of what is sent beside them', () => {
    const { engine, type } = connected(partialType(), 'a');
    const received = engine.receive(
      respond(
        type,
        'n1',
        [{ name: 'a', word: 'one' }],
        [
          ['a', 5, ''],
          ['x', 5, ''],
        ],
      ),
    );
    expect(kinds(received)).toEqual(['updated a']);
  });

  test('raises its own error for bytes that are no response', () => {
    const { engine } = connected(completeType(), '*');
    expect(() => engine.receive(new Uint8Array([0xff, 0xff]))).toThrowError(
      expect.objectContaining({ code: 'INMESH_XDS_DECODE' }),
    );
  });
});
