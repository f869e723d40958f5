import { describe, expect, test } from 'vitest';
import { createDelta } from '../../../src/xds/delta.js';
import {
  completeType,
  deltaResponse,
  EngineUnderTest,
  partialType,
  readDeltaRequest as read,
} from './engine-fixtures.js';

const names = (...all: string[]) => new Set(all);
const kinds = (received: { changes: readonly { kind: string; name: string }[] }) =>
  received.changes.map(({ kind, name }) => `${kind} ${name}`);

function connected(type = completeType(), ...subscribed: string[]) {
  const engine = new EngineUnderTest(createDelta);
  engine.protocol.subscribe(type, names(...subscribed));
  const first = engine.protocol.reconnect().map(read);
  return { engine, type, first };
}

describe('requests of the delta engine', () => {
  test('tell what changed, and on a new stream all that is wanted with the versions that are there', () => {
    const { engine, type, first } = connected(partialType(), 'a', 'b');
    expect(first).toMatchObject([{ subscribe: ['a', 'b'], unsubscribe: [], initial: {}, nonce: '' }]);
    engine.receive(deltaResponse(type, 'n1', [{ name: 'a', word: 'one', version: '7' }]));
    expect(read(engine.protocol.subscribe(type, names('b', 'c')))).toMatchObject({
      subscribe: ['c'],
      unsubscribe: ['a'],
      nonce: '',
    });
    engine.receive(deltaResponse(type, 'n2', [{ name: 'b', word: 'one', version: '8' }]));
    expect(engine.protocol.reconnect().map(read)).toMatchObject([
      { subscribe: ['b', 'c'], unsubscribe: [], initial: { b: '8' } },
    ]);
  });

  test('do not claim what was refused, removed, or dropped by its owner', () => {
    const { engine, type } = connected(partialType(), 'a', 'b', 'c', 'd');
    const all = ['a', 'b', 'c', 'd'].map((name) => ({ name, word: 'one', version: '1' }));
    engine.receive(deltaResponse(type, 'n1', all));
    engine.receive(deltaResponse(type, 'n2', [{ name: 'a', word: 'bad', version: '2' }], ['b']));
    engine.forget(type, names('a', 'd'));
    expect(engine.protocol.reconnect().map(read)).toMatchObject([{ initial: { a: '1', d: '1' } }]);
  });

  test('an acknowledgement changes no subscription', () => {
    const { engine, type } = connected(completeType(), '*');
    const { reply } = engine.receive(deltaResponse(type, 'n1', [{ name: 'a', word: 'one' }]));
    expect(read(reply)).toMatchObject({ subscribe: [], unsubscribe: [], initial: {}, nonce: 'n1' });
  });

  test('ask again for what was never answered, and for nothing else', () => {
    const { engine, type } = connected(partialType(), 'a', 'b');
    engine.receive(deltaResponse(type, 'n1', [{ name: 'a', word: 'one' }]));
    expect(read(engine.protocol.refresh(type.typeUrl))).toMatchObject({ subscribe: ['b'], nonce: '' });
    engine.receive(deltaResponse(type, 'n2', [{ name: 'b', word: 'one' }]));
    expect(engine.protocol.refresh(type.typeUrl)).toBeUndefined();
    expect(read(engine.protocol.refresh(type.typeUrl, true))).toMatchObject({ subscribe: ['a', 'b'] });
  });

  test('name, under a wildcard, what is held from elsewhere, so that the server sends or removes it', () => {
    const engine = new EngineUnderTest(createDelta);
    const type = completeType();
    engine.held.set(`${type.typeUrl} old`, { bytes: new Uint8Array(), version: '9' });
    engine.protocol.subscribe(type, names('*'));
    expect(engine.protocol.reconnect().map(read)).toMatchObject([{ subscribe: [], initial: { old: '?' } }]);
    expect(kinds(engine.receive(deltaResponse(type, 'n1', [], ['old'])))).toEqual(['removed old']);
  });

  test('a wildcard alone is said by naming nothing; versions of what it brought come along', () => {
    const { engine, type, first } = connected(completeType(), '*');
    expect(first).toMatchObject([{ subscribe: [] }]);
    engine.receive(deltaResponse(type, 'n1', [{ name: 'w', word: 'one', version: '3' }]));
    expect(engine.protocol.reconnect().map(read)).toMatchObject([{ subscribe: [], initial: { w: '3' } }]);
    expect(read(engine.protocol.subscribe(type, names('*', 'own')))).toMatchObject({ subscribe: ['own'] });
    expect(engine.protocol.reconnect().map(read)).toMatchObject([{ subscribe: ['*', 'own'] }]);
    expect(read(engine.protocol.subscribe(type, names('own')))).toMatchObject({ unsubscribe: ['*'] });
    expect(engine.protocol.reconnect().map(read)).toMatchObject([{ subscribe: ['own'], initial: {} }]);
  });
});

describe('responses to the delta engine', () => {
  test('remove by name, whether the name was asked for or came by the wildcard', () => {
    const { engine, type } = connected(completeType(), '*', 'own');
    const words = ['own', 'w'].map((name) => ({ name, word: 'one', version: '1' }));
    engine.receive(deltaResponse(type, 'n1', words));
    expect(kinds(engine.receive(deltaResponse(type, 'n2', [], ['own', 'w'])))).toEqual([
      'removed own',
      'removed w',
    ]);
  });

  test('removals of what nobody wants say nothing', () => {
    const { engine, type } = connected(partialType(), 'a');
    const received = engine.receive(deltaResponse(type, 'n1', [], ['x']));
    expect(received.changes).toEqual([]);
    expect(read(received.reply)).toMatchObject({ nonce: 'n1', error: undefined });
  });

  test('a name that is sent and removed, or removed twice, is refused', () => {
    const { engine, type } = connected(partialType(), 'a', 'b');
    engine.receive(deltaResponse(type, 'n1', [{ name: 'a', word: 'one' }]));
    const both = engine.receive(deltaResponse(type, 'n2', [{ name: 'a', word: 'two' }], ['a']));
    expect(kinds(both)).toEqual(['rejected a']);
    expect(engine.value(type, 'a')).toBe('one');
    expect(read(both.reply)?.error).toContain('duplicate name a found in the union');
    expect(read(engine.receive(deltaResponse(type, 'n3', [], ['b', 'b'])).reply)?.error).toContain('name b');
  });

  test('without a nonce is not answered, for there is nothing to answer with', () => {
    const { engine, type } = connected(partialType(), 'a');
    const received = engine.receive(deltaResponse(type, '', [{ name: 'a', word: 'one' }]));
    expect(received).toMatchObject({ changes: [], reply: undefined });
    expect(received.errors).toHaveLength(1);
  });

  test('the name of the wrapper is the one that counts', () => {
    const { engine, type } = connected(partialType(), 'a', 'b');
    const bytes = deltaResponse(type, 'n1', [{ name: 'a', word: 'one', version: '1' }]);
    expect(kinds(engine.receive(bytes))).toEqual(['updated a']);
  });

  test('a good response leaves a refusal that waits due', () => {
    const { engine, type } = connected(partialType(), 'a', 'b');
    for (const nonce of ['n1', 'n2'])
      engine.receive(deltaResponse(type, nonce, [{ name: 'a', word: 'bad' }]));
    expect(read(engine.receive(deltaResponse(type, 'n3', [{ name: 'b', word: 'one' }])).reply)?.nonce).toBe(
      'n3',
    );
    expect(read(engine.protocol.resume(type.typeUrl))).toMatchObject({
      nonce: 'n2',
      error: expect.any(String),
    });
  });
});
