import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { typeUrlOf } from '../../../src/proto/any.js';
import { core, discovery, wkt } from '../../../src/proto/xds.js';
import { MeshError } from '../../../src/runtime/errors.js';
import {
  completeType,
  EngineUnderTest,
  packed,
  partialType,
  readRequest,
  response,
  wrappedResponse,
} from './engine-fixtures.js';

const names = (...all: string[]) => new Set(all);
const kinds = (received: { changes: readonly { kind: string; name: string }[] }) =>
  received.changes.map(({ kind, name }) => `${kind} ${name}`);

function connected(type = completeType(), ...subscribed: string[]) {
  const engine = new EngineUnderTest();
  engine.protocol.subscribe(type, names(...subscribed));
  const first = engine.protocol.reconnect().map(readRequest);
  return { engine, type, first };
}

describe('requests of the state-of-the-world engine', () => {
  test('the first request of a stream carries the node, later ones do not', () => {
    const { engine, first } = connected(completeType(), '*');
    expect(first).toMatchObject([{ names: [], version: '', nonce: '', node: 'node-1', error: undefined }]);
    expect(readRequest(engine.protocol.subscribe(partialType(), names('a')))).toMatchObject({
      names: ['a'],
      node: undefined,
    });
  });

  test('types are asked for again in the order of their first subscription', () => {
    const engine = new EngineUnderTest();
    const [one, two] = [completeType(), partialType()];
    engine.protocol.subscribe(one, names('x'));
    engine.protocol.subscribe(two, names('y'));
    expect(engine.protocol.reconnect().map((bytes) => readRequest(bytes)?.typeUrl)).toEqual([
      one.typeUrl,
      two.typeUrl,
    ]);
  });

  test('an empty first subscription is not sent, because servers take it for a wildcard', () => {
    const { engine } = connected(completeType(), '*');
    expect(engine.protocol.subscribe(partialType(), names())).toBeUndefined();
  });

  test('the same names are not sent twice, no names after some are', () => {
    const { engine } = connected(completeType(), '*');
    const type = partialType();
    engine.protocol.subscribe(type, names('a', 'b'));
    expect(engine.protocol.subscribe(type, names('b', 'a'))).toBeUndefined();
    expect(readRequest(engine.protocol.subscribe(type, names()))).toMatchObject({ names: [] });
  });

  test('nothing is sent while there is no stream', () => {
    const { engine, type } = connected(completeType(), 'a');
    engine.protocol.disconnect();
    expect(engine.protocol.subscribe(type, names('b'))).toBeUndefined();
    expect(engine.protocol.setNode(create(core.NodeSchema, { id: 'node-2' }))).toBeUndefined();
    expect(engine.protocol.reconnect().map(readRequest)).toMatchObject([{ names: ['b'], node: 'node-2' }]);
  });

  test('nothing but the wildcard is said by naming nothing, next to names and after them by a star', () => {
    const { engine, type, first } = connected(completeType(), '*');
    expect(first).toMatchObject([{ names: [] }]);
    expect(readRequest(engine.protocol.subscribe(type, names('*', 'a')))).toMatchObject({
      names: ['*', 'a'],
    });
    expect(readRequest(engine.protocol.subscribe(type, names('*')))).toMatchObject({ names: ['*'] });
    expect(engine.protocol.reconnect().map(readRequest)).toMatchObject([{ names: [] }]);
  });

  test('a changed node is sent at once, with the state of the subscription', () => {
    const { engine, type } = connected(completeType(), '*');
    engine.receive(response(type, 'v1', 'n1', [packed(type, 'a', 'one')]));
    const request = readRequest(engine.protocol.setNode(create(core.NodeSchema, { id: 'node-2' })));
    expect(request).toMatchObject({ node: 'node-2', names: [], version: 'v1', nonce: 'n1' });
  });

  test('the version survives the stream, the nonce does not', () => {
    const { engine, type } = connected(completeType(), 'a');
    engine.receive(response(type, 'v1', 'n1', [packed(type, 'a', 'one')]));
    expect(engine.protocol.reconnect().map(readRequest)).toMatchObject([{ version: 'v1', nonce: '' }]);
  });

  test('a new stream asks for everything when something subscribed is not held', () => {
    const { engine, type } = connected(partialType(), 'a');
    engine.receive(response(type, 'v1', 'n1', [packed(type, 'a', 'one')]));
    engine.protocol.subscribe(type, names('a', 'b'));
    expect(engine.protocol.reconnect().map(readRequest)).toMatchObject([{ version: '', names: ['a', 'b'] }]);
  });
});

test('a new stream asks for everything after parts of a refused response came into force', () => {
  const { engine, type } = connected(completeType(), '*');
  engine.receive(response(type, 'v1', 'n1', [packed(type, 'a', 'one')]));
  engine.receive(response(type, 'v2', 'n2', [packed(type, 'a', 'two'), packed(type, 'b', 'bad')]));
  expect(engine.protocol.reconnect().map(readRequest)).toMatchObject([{ version: '' }]);
});

describe('responses to the state-of-the-world engine', () => {
  test('a good response is acknowledged with its version and nonce', () => {
    const { engine, type } = connected(completeType(), '*');
    const received = engine.receive(
      response(type, 'v1', 'n1', [packed(type, 'a', 'one'), packed(type, 'b', 'two')]),
    );
    expect(kinds(received)).toEqual(['updated a', 'updated b']);
    expect(readRequest(received.reply)).toMatchObject({ version: 'v1', nonce: 'n1', error: undefined });
  });

  test('good resources apply beside bad ones, and the refusal names exactly the bad one', () => {
    const { engine, type } = connected(completeType(), '*');
    engine.receive(response(type, 'v1', 'n1', [packed(type, 'a', 'one'), packed(type, 'b', 'one')]));
    const good = Array.from({ length: 99 }, (_, i) => packed(type, `good-${i}`, 'two'));
    const received = engine.receive(response(type, 'v2', 'n2', [...good, packed(type, 'a', 'bad')]));
    const reply = readRequest(received.reply);
    expect(reply).toMatchObject({ version: 'v1', nonce: 'n2' });
    expect(reply?.error).toContain('WHOLE a: ');
    expect(reply?.error).toContain('word: bad is not allowed');
    expect(reply?.error).not.toContain('good');
    expect(engine.value(type, 'good-98')).toBe('two');
    expect(engine.value(type, 'a')).toBe('one');
    expect(engine.value(type, 'b')).toBeUndefined();
  });

  test('the message of a refusal is cut at 4096 bytes', () => {
    const { engine, type } = connected(completeType(), '*');
    const bad = Array.from({ length: 200 }, (_, i) => packed(type, `bäd-${i}`, 'bad'));
    const error = readRequest(engine.receive(response(type, 'v1', 'n1', bad)).reply)?.error ?? '';
    expect(Buffer.byteLength(error)).toBeLessThanOrEqual(4096);
    expect(error).toMatch(/\(truncated\)$/);
  });

  test('a name twice in one response is refused and keeps its old value', () => {
    const { engine, type } = connected(completeType(), '*');
    engine.receive(response(type, 'v1', 'n1', [packed(type, 'a', 'one')]));
    const twice = [packed(type, 'a', 'two'), packed(type, 'a', 'two'), packed(type, 'b', 'two')];
    const received = engine.receive(response(type, 'v2', 'n2', twice));
    expect(kinds(received)).toEqual(['rejected a', 'updated b']);
    expect(readRequest(received.reply)?.error).toContain('twice');
  });

  test('resources nobody asked for are passed over undecoded', () => {
    const { engine, type } = connected(partialType(), 'a');
    const received = engine.receive(
      response(type, 'v1', 'n1', [packed(type, 'a', 'one'), packed(type, 'x', 'bad')]),
    );
    expect(kinds(received)).toEqual(['updated a']);
    expect(readRequest(received.reply)).toMatchObject({ version: 'v1', error: undefined });
  });

  test('a response of a type nobody asked for is not answered', () => {
    const { engine } = connected(completeType(), '*');
    const received = engine.receive(response(partialType(), 'v1', 'n1', []));
    expect(received).toMatchObject({ changes: [], reply: undefined });
    expect(received.errors).toHaveLength(1);
  });

  test('responses of a server without nonces apply, and are acknowledged once for each version', () => {
    const { engine, type } = connected(completeType(), '*');
    const send = (version: string, word: string) =>
      engine.receive(response(type, version, '', [packed(type, 'a', word)]));
    expect(readRequest(send('v1', 'one').reply)).toMatchObject({ version: 'v1', nonce: '' });
    expect(engine.value(type, 'a')).toBe('one');
    expect(send('v1', 'one').reply).toBeUndefined();
    expect(readRequest(send('v2', 'two').reply)).toMatchObject({ version: 'v2', nonce: '' });
  });

  test('a response without nonce among others with one is not answered', () => {
    const { engine, type } = connected(completeType(), '*');
    engine.receive(response(type, 'v1', 'n1', [packed(type, 'a', 'one')]));
    const received = engine.receive(response(type, 'v2', '', [packed(type, 'a', 'two')]));
    expect(received).toMatchObject({ changes: [], reply: undefined });
    expect(received.errors).toHaveLength(1);
    expect(engine.value(type, 'a')).toBe('one');
  });

  test('the Resource wrapper is taken off', () => {
    const { engine, type } = connected(partialType(), 'a');
    const wrapper = create(discovery.ResourceSchema, { name: 'a', resource: packed(type, 'a', 'one') });
    const any = create(wkt.AnySchema, {
      typeUrl: typeUrlOf(discovery.ResourceSchema),
      value: toBinary(discovery.ResourceSchema, wrapper),
    });
    expect(kinds(engine.receive(response(type, 'v1', 'n1', [any])))).toEqual(['updated a']);
  });

  test('a heartbeat of the version in force renews what is held and removes nothing', () => {
    const { engine, type } = connected(completeType(), '*');
    const resources = [
      { name: 'a', word: 'one', ttlMs: 2500 },
      { name: 'b', word: 'one' },
    ];
    expect(engine.receive(wrappedResponse(type, 'v1', 'n1', resources)).changes).toMatchObject([
      { kind: 'updated', name: 'a', ttlMs: 2500 },
      { kind: 'updated', name: 'b', ttlMs: undefined },
    ]);
    const received = engine.receive(wrappedResponse(type, 'v1', 'n2', [{ name: 'a', ttlMs: 2500 }]));
    expect(received.changes).toMatchObject([{ kind: 'unchanged', name: 'a', ttlMs: 2500 }]);
    expect(readRequest(received.reply)).toMatchObject({ version: 'v1', nonce: 'n2', error: undefined });
  });

  test('what was dropped by its owner is asked for anew on the next stream', () => {
    const { engine, type } = connected(completeType(), '*');
    engine.receive(wrappedResponse(type, 'v1', 'n1', [{ name: 'a', word: 'one', ttlMs: 100 }]));
    engine.forget(type, new Set());
    expect(engine.protocol.reconnect().map(readRequest)).toMatchObject([{ version: '' }]);
  });

  test('resources of a type that nobody wants any more are not accepted, no resources are', () => {
    const { engine, type } = connected(partialType(), 'a');
    engine.protocol.subscribe(type, names());
    const some = engine.receive(response(type, 'v1', 'n1', [packed(type, 'a', 'one')]));
    expect(some.changes).toEqual([]);
    expect(readRequest(some.reply)).toMatchObject({ names: [], version: '', nonce: 'n1', error: undefined });
    expect(readRequest(engine.receive(response(type, 'v2', 'n2', [])).reply)).toMatchObject({
      version: 'v2',
    });
  });

  test('a resource of another type, one without name and one of broken bytes are refused by their place', () => {
    const { engine, type } = connected(completeType(), '*');
    const broken = create(wkt.AnySchema, { typeUrl: type.typeUrl, value: new Uint8Array([0x0a, 0xff]) });
    const list = [
      packed(partialType(), 'x', 'one'),
      packed(type, '', 'one'),
      broken,
      packed(type, 'good', 'one'),
    ];
    const received = engine.receive(response(type, 'v1', 'n1', list));
    const error = readRequest(received.reply)?.error;
    expect(kinds(received)).toEqual(['updated good']);
    for (const index of [0, 1, 2]) expect(error).toContain(`resources[${index}]`);
    expect(received.errors).toHaveLength(3);
  });

  test('equal bytes are not decoded again, refused ones neither', () => {
    const { engine, type } = connected(completeType(), '*');
    const list = [packed(type, 'a', 'one'), packed(type, 'b', 'bad')];
    engine.receive(response(type, 'v1', 'n1', list));
    expect(type.decoded).toBe(2);
    const again = engine.receive(response(type, 'v2', 'n2', list));
    expect(type.decoded).toBe(2);
    expect(kinds(again)).toEqual(['unchanged a', 'rejected b']);
  });

  test('bytes that are no response at all raise an error', () => {
    const { engine } = connected(completeType(), '*');
    expect(() => engine.receive(new Uint8Array([0xff, 0xff]))).toThrow(MeshError);
  });
});

describe('a response that is decoded with pauses', () => {
  /** A type whose resources pause once. */
  const slowType = () => {
    const type = partialType();
    return Object.assign(type, {
      *decodeInSteps(bytes: Uint8Array) {
        yield;
        return type.decode(bytes);
      },
    });
  };

  test('is acknowledged when it is done: what is asked for meanwhile does not know it yet', () => {
    const { engine, type } = connected(slowType(), 'a');
    const asked: unknown[] = [];
    const received = engine.receive(response(type, 'v1', 'n1', [packed(type, 'a', 'one')]), () =>
      asked.push(readRequest(engine.protocol.subscribe(type, names('a', 'b')))),
    );
    expect(asked).toMatchObject([{ names: ['a', 'b'], version: '', nonce: '' }]);
    expect(kinds(received)).toEqual(['updated a']);
    expect(readRequest(received.reply)).toMatchObject({ names: ['a', 'b'], version: 'v1', nonce: 'n1' });
  });

  test('brings nothing for a name that was given up meanwhile', () => {
    const { engine, type } = connected(slowType(), 'a', 'b');
    const list = [packed(type, 'a', 'one'), packed(type, 'b', 'one')];
    const received = engine.receive(response(type, 'v1', 'n1', list), () =>
      engine.protocol.subscribe(type, names('b')),
    );
    expect(kinds(received)).toEqual(['updated b']);
  });

  test('is decoded once, and the refused and the unchanged not again', () => {
    const { engine, type } = connected(slowType(), 'a', 'b');
    const list = [packed(type, 'a', 'one'), packed(type, 'b', 'bad')];
    expect(kinds(engine.receive(response(type, 'v1', 'n1', list)))).toEqual(['updated a', 'rejected b']);
    expect(type.decoded).toBe(2);
    expect(kinds(engine.receive(response(type, 'v2', 'n2', list)))).toEqual(['unchanged a', 'rejected b']);
    expect(type.decoded).toBe(2);
  });
});

test('what counts anew when it is received again is told of again', () => {
  const type = Object.assign(partialType(), {
    countsAnew: (one: unknown) => JSON.stringify(one).includes('fresh'),
  });
  const { engine } = connected(type, 'a', 'b');
  const list = [packed(type, 'a', 'fresh'), packed(type, 'b', 'one')];
  expect(kinds(engine.receive(response(type, 'v1', 'n1', list)))).toEqual(['updated a', 'updated b']);
  expect(kinds(engine.receive(response(type, 'v2', 'n2', list)))).toEqual(['updated a', 'unchanged b']);
});

describe('absence in state-of-the-world responses', () => {
  test('is removal for complete types, under the wildcard too', () => {
    const { engine, type } = connected(completeType(), '*', 'own');
    engine.receive(response(type, 'v1', 'n1', [packed(type, 'a', 'one'), packed(type, 'own', 'one')]));
    expect(kinds(engine.receive(response(type, 'v2', 'n2', []))).sort()).toEqual([
      'removed a',
      'removed own',
    ]);
  });

  test('means nothing for the other types', () => {
    const { engine, type } = connected(partialType(), 'a', 'b');
    engine.receive(response(type, 'v1', 'n1', [packed(type, 'a', 'one')]));
    const received = engine.receive(response(type, 'v2', 'n2', []));
    expect(received.changes).toEqual([]);
    expect(readRequest(received.reply)).toMatchObject({ version: 'v2', error: undefined });
  });

  test('proves that what the first request of the stream named does not exist', () => {
    const { engine, type } = connected(completeType(), 'a', 'b');
    expect(kinds(engine.receive(response(type, 'v1', 'n1', [packed(type, 'a', 'one')])))).toEqual([
      'updated a',
      'removed b',
    ]);
  });

  test('proves nothing about a name asked for after the response was written', () => {
    const { engine, type } = connected(completeType(), 'a');
    engine.receive(response(type, 'v1', 'n1', [packed(type, 'a', 'one')]));
    engine.protocol.subscribe(type, names('a', 'b', 'c'));
    expect(kinds(engine.receive(response(type, 'v1', 'n2', [packed(type, 'a', 'two')])))).toEqual([
      'updated a',
    ]);
    const answer = [packed(type, 'a', 'two'), packed(type, 'b', 'one')];
    expect(kinds(engine.receive(response(type, 'v2', 'n3', answer)))).toEqual([
      'unchanged a',
      'updated b',
      'removed c',
    ]);
  });

  test('proves nothing beside a resource whose name can not be read', () => {
    const { engine, type } = connected(completeType(), '*');
    engine.receive(response(type, 'v1', 'n1', [packed(type, 'a', 'one')]));
    const broken = create(wkt.AnySchema, { typeUrl: type.typeUrl, value: new Uint8Array([0xff]) });
    expect(engine.receive(response(type, 'v2', 'n2', [broken])).changes).toEqual([]);
    expect(engine.value(type, 'a')).toBe('one');
  });
});

describe('the same refusal again and again', () => {
  const bad = (type: ReturnType<typeof completeType>) => [packed(type, 'a', 'bad')];

  test('is answered at once only the first time', () => {
    const { engine, type } = connected(completeType(), '*');
    expect(engine.receive(response(type, 'v1', 'n1', bad(type))).reply).toBeDefined();
    const second = engine.receive(response(type, 'v1', 'n2', bad(type)));
    expect(second.reply).toBeUndefined();
    expect(second.withheld?.delayMs).toBeGreaterThanOrEqual(800);
    const third = engine.receive(response(type, 'v1', 'n3', bad(type)));
    expect(third).toMatchObject({ reply: undefined, withheld: undefined });
    const reply = readRequest(engine.protocol.resume(type.typeUrl));
    expect(reply).toMatchObject({ nonce: 'n3' });
    expect(reply?.error).toContain('bad');
    expect(engine.protocol.resume(type.typeUrl)).toBeUndefined();
  });

  test('waits longer each time, up to ten seconds', () => {
    const { engine, type } = connected(completeType(), '*');
    engine.receive(response(type, 'v1', 'n0', bad(type)));
    const delays = Array.from({ length: 8 }, (_, i) => {
      const delay = engine.receive(response(type, 'v1', `n${i + 1}`, bad(type))).withheld?.delayMs ?? 0;
      engine.protocol.resume(type.typeUrl);
      return delay;
    });
    for (const [i, delay] of delays.entries()) {
      const step = Math.min(10_000, 1000 * 2 ** i);
      expect(delay).toBeGreaterThanOrEqual(step * 0.8);
      expect(delay).toBeLessThanOrEqual(step * 1.2);
    }
  });

  test('is dropped when a good response comes first', () => {
    const { engine, type } = connected(completeType(), '*');
    for (const nonce of ['n1', 'n2']) engine.receive(response(type, 'v1', nonce, bad(type)));
    const good = engine.receive(response(type, 'v2', 'n3', [packed(type, 'a', 'one')]));
    expect(readRequest(good.reply)).toMatchObject({ version: 'v2', error: undefined });
    expect(engine.protocol.resume(type.typeUrl)).toBeUndefined();
  });

  test('goes along with a change of names in the meantime', () => {
    const { engine, type } = connected(completeType(), 'a');
    for (const nonce of ['n1', 'n2']) engine.receive(response(type, 'v1', nonce, bad(type)));
    const request = readRequest(engine.protocol.subscribe(type, names('a', 'b')));
    expect(request).toMatchObject({ names: ['a', 'b'], nonce: 'n2', version: '' });
    expect(request?.error).toContain('bad');
  });

  test('another complaint is answered at once', () => {
    const { engine, type } = connected(completeType(), '*');
    engine.receive(response(type, 'v1', 'n1', bad(type)));
    expect(engine.receive(response(type, 'v2', 'n2', [packed(type, 'a', 'bad too')])).reply).toBeDefined();
  });
});
