import { describe, expect, test } from 'vitest';
import { MeshError } from '../../../src/runtime/errors.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import type { DecodableType } from '../../../src/xds/protocol.js';
import { LAST_RESORT_MS, ResourceStore } from '../../../src/xds/store.js';

interface Fruit {
  readonly name: string;
  readonly seeds: number;
}

const FRUIT: DecodableType<Fruit> = {
  typeUrl: 'type.googleapis.com/test.Fruit',
  short: 'FDS',
  complete: false,
  decode(bytes) {
    const resource = JSON.parse(Buffer.from(bytes).toString()) as Fruit;
    return { name: resource.name, resource };
  },
};

function updated(name: string, seeds: number, version = '1') {
  const resource = { name, seeds };
  return {
    kind: 'updated',
    type: FRUIT,
    name,
    resource,
    bytes: Buffer.from(JSON.stringify(resource)),
    version,
  } as const;
}

function rejectedChange(name: string) {
  const error = new MeshError('INMESH_XDS_DECODE', 'is rotten');
  return { kind: 'rejected', type: FRUIT, name, bytes: new Uint8Array([1]), error, version: '2' } as const;
}

function failedChange(name: string, code: number) {
  const error = new MeshError('INMESH_XDS_DECODE', 'no such tree');
  return { kind: 'failed', type: FRUIT, name, code, error } as const;
}

function createStore(
  onLastResort: (typeUrl: string, name: string) => void = () => {},
  onKept: (name: string) => void = () => {},
) {
  const clock = createFakeClock();
  const isHollow = (_: string, resource: unknown) => (resource as Fruit).seeds === 0;
  const store = new ResourceStore({
    types: [FRUIT],
    clock,
    isHollow,
    onLastResort,
    onKept: (_, name) => onKept(name),
  });
  store.retain(FRUIT.typeUrl, new Set(['apple']));
  return { store, clock };
}

describe('the resource store', () => {
  test('a resource is pending until the server speaks', () => {
    const { store } = createStore();
    expect(store.find(FRUIT, 'apple')).toBe('pending');
    store.apply(updated('apple', 5), true);
    expect(store.find(FRUIT, 'apple')).toEqual({ name: 'apple', seeds: 5 });
  });

  test('an error without an old value makes the resource unusable', () => {
    const { store } = createStore();
    store.apply(rejectedChange('apple'), true);
    expect(store.find(FRUIT, 'apple')).toBe('refused');
    expect([...store.statuses()]).toMatchObject([{ name: 'apple', state: 'nacked', isHeld: false }]);
  });

  test('an error with an old value keeps the old value and shows the error', () => {
    const { store } = createStore();
    store.apply(updated('apple', 5), true);
    store.apply(rejectedChange('apple'), true);
    expect(store.find(FRUIT, 'apple')).toEqual({ name: 'apple', seeds: 5 });
    const [status] = [...store.statuses()];
    expect(status).toMatchObject({ state: 'nacked', isHeld: true, version: '1' });
    expect(status?.error?.message).toContain('is rotten');
  });

  test('the old value sent again clears the error', () => {
    const { store } = createStore();
    store.apply(updated('apple', 5), true);
    store.apply(rejectedChange('apple'), true);
    store.apply({ kind: 'unchanged', type: FRUIT, name: 'apple', version: '3' }, true);
    expect([...store.statuses()]).toMatchObject([{ state: 'acked', error: undefined }]);
  });

  test('a removed name that is subscribed to is known not to exist, another is forgotten', () => {
    const { store } = createStore();
    store.apply(updated('apple', 5), true);
    store.apply(updated('pear', 5), true);
    store.apply({ kind: 'removed', type: FRUIT, name: 'apple' }, false);
    store.apply({ kind: 'removed', type: FRUIT, name: 'pear' }, false);
    expect(store.find(FRUIT, 'apple')).toBe('absent');
    expect([...store.known(FRUIT.typeUrl)]).toEqual(['apple']);
  });

  test('a removed value that is to be kept stays in use, and that is told once', () => {
    const kept: string[] = [];
    const { store } = createStore(undefined, (name) => kept.push(name));
    store.apply(updated('apple', 5), true);
    for (let i = 0; i < 2; i++) store.apply({ kind: 'removed', type: FRUIT, name: 'apple' }, true);
    expect(store.find(FRUIT, 'apple')).toMatchObject({ seeds: 5 });
    expect([...store.statuses()]).toMatchObject([{ state: 'does-not-exist', isHeld: true }]);
    expect(kept).toEqual(['apple']);
    store.apply({ kind: 'unchanged', type: FRUIT, name: 'apple', version: '2' }, true);
    expect([...store.statuses()]).toMatchObject([{ state: 'acked' }]);
  });

  test('what is not to be kept goes with a refusal or an error', () => {
    const { store } = createStore();
    store.apply(updated('apple', 5), true);
    store.apply(rejectedChange('apple'), false);
    expect(store.find(FRUIT, 'apple')).toBe('refused');
    store.apply(updated('apple', 5), true);
    store.apply(failedChange('apple', 7), false);
    expect(store.find(FRUIT, 'apple')).toBe('refused');
  });

  test('an error of the server ends the wait: NOT_FOUND is absence, anything else a fault', () => {
    const { store } = createStore();
    store.apply(failedChange('apple', 5), true);
    expect(store.find(FRUIT, 'apple')).toBe('absent');
    expect([...store.statuses()]).toMatchObject([{ state: 'does-not-exist' }]);
    store.apply(failedChange('apple', 13), true);
    expect(store.find(FRUIT, 'apple')).toBe('refused');
    const [status] = [...store.statuses()];
    expect(status).toMatchObject({ state: 'received-error', isHeld: false });
    expect(status?.error?.message).toContain('no such tree');
    store.apply(updated('apple', 5), true);
    expect([...store.statuses()]).toMatchObject([{ state: 'acked', error: undefined }]);
  });

  test('an error of the server beside a value that is kept changes nothing but the state', () => {
    const { store } = createStore();
    store.apply(updated('apple', 5), true);
    store.apply(failedChange('apple', 13), true);
    expect(store.find(FRUIT, 'apple')).toMatchObject({ seeds: 5 });
    expect([...store.statuses()]).toMatchObject([{ state: 'received-error', isHeld: true, version: '1' }]);
  });

  test('giving up is an absence, or an outage where servers tell of absence', () => {
    const { store } = createStore();
    store.giveUp(FRUIT.typeUrl, 'apple');
    expect(store.find(FRUIT, 'apple')).toBe('absent');
    store.giveUp(FRUIT.typeUrl, 'apple', true);
    expect(store.find(FRUIT, 'apple')).toBe('refused');
  });

  test('names no longer subscribed to are forgotten', () => {
    const { store } = createStore();
    store.apply(updated('apple', 5), true);
    store.retain(FRUIT.typeUrl, new Set(['pear']));
    expect([...store.known(FRUIT.typeUrl)]).toEqual(['pear']);
  });

  test('an emptied value is replaced by the one before for ten minutes', async () => {
    const kept: string[] = [];
    const { store, clock } = createStore((_, name) => kept.push(name));
    store.apply(updated('apple', 5), true);
    store.apply(updated('apple', 0, '2'), true);

    expect(store.find(FRUIT, 'apple')).toMatchObject({ seeds: 5 });
    expect(kept).toEqual(['apple']);
    expect(store.expire().nextMs).toBe(LAST_RESORT_MS);
    expect([...store.statuses()]).toMatchObject([{ lastResortUntilMs: LAST_RESORT_MS, version: '1' }]);

    await clock.advance(LAST_RESORT_MS - 1);
    store.expire();
    expect(store.find(FRUIT, 'apple')).toMatchObject({ seeds: 5 });
    await clock.advance(1);
    expect(store.expire().nextMs).toBeUndefined();
    expect(store.find(FRUIT, 'apple')).toMatchObject({ seeds: 0 });
  });

  test('a value that fills again ends the last resort at once', () => {
    const { store } = createStore();
    store.apply(updated('apple', 5), true);
    store.apply(updated('apple', 0), true);
    store.apply(updated('apple', 7), true);
    expect(store.find(FRUIT, 'apple')).toMatchObject({ seeds: 7 });
    expect(store.expire().nextMs).toBeUndefined();
  });

  test('a value that was empty from the start has no last resort', () => {
    const { store } = createStore();
    store.apply(updated('apple', 0), true);
    expect(store.find(FRUIT, 'apple')).toMatchObject({ seeds: 0 });
  });

  test('a value with a time to live goes when it is not renewed in time, and stays out of the cache', async () => {
    const { store, clock } = createStore();
    store.retain(FRUIT.typeUrl, new Set(['apple', 'pear']));
    store.apply({ ...updated('apple', 5), ttlMs: 1000 }, true);
    store.apply(updated('pear', 3), true);
    expect([...store.stored()].map(({ name }) => name)).toEqual(['pear']);

    await clock.advance(900);
    store.apply({ kind: 'unchanged', type: FRUIT, name: 'apple', version: '1', ttlMs: 1000 }, true);
    expect(store.expire()).toEqual({ nextMs: 1900, hasExpired: false });
    await clock.advance(1000);
    expect(store.expire()).toEqual({ nextMs: undefined, hasExpired: true });

    expect(store.find(FRUIT, 'apple')).toBe('absent');
    expect(store.find(FRUIT, 'pear')).toMatchObject({ seeds: 3 });
  });

  test('a time to live ends when the value is sent without one, or removed', async () => {
    const { store, clock } = createStore();
    for (const name of ['apple', 'pear']) store.apply({ ...updated(name, 5), ttlMs: 1000 }, true);
    store.apply({ kind: 'unchanged', type: FRUIT, name: 'apple', version: '1' }, true);
    store.apply({ kind: 'removed', type: FRUIT, name: 'pear' }, false);
    await clock.advance(2000);
    expect(store.expire()).toEqual({ nextMs: undefined, hasExpired: false });
    expect(store.find(FRUIT, 'apple')).toMatchObject({ seeds: 5 });
  });

  test('a cached value counts as pending for who wants the word of the server', () => {
    const { store } = createStore();
    const { bytes } = updated('apple', 5);
    store.restore({ typeUrl: FRUIT.typeUrl, name: 'apple', version: '1', bytes });
    expect(store.find(FRUIT, 'apple', true)).toBe('pending');
    expect(store.find(FRUIT, 'apple')).toMatchObject({ seeds: 5 });
    store.apply({ kind: 'unchanged', type: FRUIT, name: 'apple', version: '1' }, true);
    expect(store.find(FRUIT, 'apple', true)).toMatchObject({ seeds: 5 });
  });

  test('giving up on a cached value keeps it, giving up on an unknown one makes it absent', () => {
    const { store } = createStore();
    const { bytes } = updated('pear', 5);
    store.restore({ typeUrl: FRUIT.typeUrl, name: 'pear', version: '1', bytes });
    store.giveUp(FRUIT.typeUrl, 'pear');
    store.giveUp(FRUIT.typeUrl, 'apple');
    expect(store.find(FRUIT, 'pear', true)).toMatchObject({ seeds: 5 });
    expect(store.find(FRUIT, 'apple')).toBe('absent');
  });

  test('the wait for a resource runs only while connected', async () => {
    const { store, clock } = createStore();
    store.setConnected(FRUIT.typeUrl, true, () => true);
    await clock.advance(1000);
    expect(store.waitingSince(FRUIT.typeUrl, 'apple')).toBe(0);
    store.setConnected(FRUIT.typeUrl, false, () => true);
    await clock.advance(1000);
    store.setConnected(FRUIT.typeUrl, true, () => true);
    expect(store.waitingSince(FRUIT.typeUrl, 'apple')).toBe(2000);
    store.apply(rejectedChange('apple'), true);
    expect(store.waitingSince(FRUIT.typeUrl, 'apple')).toBeUndefined();
  });
});
