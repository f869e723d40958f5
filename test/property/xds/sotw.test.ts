import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DecodableType } from '../../../src/xds/protocol.js';
import {
  completeType,
  EngineUnderTest,
  packed,
  partialType,
  readRequest,
  response,
} from '../../unit/xds/engine-fixtures.js';

interface ServerStream {
  /** Names of the last request that was taken; undefined before the first. */
  names: ReadonlySet<string> | undefined;
  /** Names whose newest value was sent on this stream. */
  sent: Set<string>;
  nonce: string;
  /** Version that was sent last; empty when it was refused. */
  version: string;
  hasWatch: boolean;
}

/**
 * One type of a server whose version is a hash of the content. It ignores stale nonces, answers a refusal at once, and
 * sends only the names that are new while the version stays, as go-control-plane does. With `isTerse` it
 * sends nothing to a client that comes back with the current version.
 */
class ModelServer {
  readonly words = new Map<string, string>();
  readonly toClient: Uint8Array[] = [];
  #nonces = 0;
  #stream: ServerStream | undefined;

  constructor(
    readonly type: DecodableType,
    readonly isTerse: boolean,
  ) {}

  set(name: string, word: string | undefined): void {
    if (word === undefined) this.words.delete(name);
    else this.words.set(name, word);
    this.#push();
  }

  open(): void {
    this.toClient.length = 0;
    this.#stream = { names: undefined, sent: new Set(), nonce: '', version: '', hasWatch: false };
  }

  take(bytes: Uint8Array): void {
    const stream = this.#stream;
    const request = readRequest(bytes);
    if (stream === undefined || request === undefined || request.nonce !== stream.nonce) return;
    const isKnown = stream.names === undefined && this.isTerse && request.version === this.#version;
    // Naming nothing, before anything was named, means everything.
    const isWildcard = request.names.length === 0 && [...(stream.names ?? ['*'])].join() === '*';
    stream.names = new Set(isWildcard ? ['*'] : request.names);
    if (isKnown) stream.version = request.version;
    if (isKnown) for (const name of this.words.keys()) stream.sent.add(name);
    for (const name of stream.sent) if (!this.#wants(stream, name)) stream.sent.delete(name);
    if (request.error !== undefined || request.version === '') stream.version = '';
    stream.hasWatch = true;
    this.#push();
  }

  get #version(): string {
    return `v${JSON.stringify([...this.words].sort())}`;
  }

  #wants(stream: ServerStream, name: string): boolean {
    return stream.names?.has('*') === true || stream.names?.has(name) === true;
  }

  #push(): void {
    const stream = this.#stream;
    if (stream === undefined || !stream.hasWatch) return;
    const version = this.#version;
    const wanted = [...this.words].filter(([name]) => this.#wants(stream, name));
    const fresh = wanted.filter(([name]) => !stream.sent.has(name));
    const isNewVersion = stream.version !== version;
    if (!isNewVersion && fresh.length === 0) return;
    const list = isNewVersion || this.type.complete ? wanted : fresh;
    stream.nonce = `n${++this.#nonces}`;
    stream.version = version;
    stream.hasWatch = false;
    for (const [name] of list) stream.sent.add(name);
    const resources = list.map(([name, word]) => packed(this.type, name, word));
    this.toClient.push(response(this.type, version, stream.nonce, resources));
  }
}

type Step =
  | { readonly kind: 'set'; readonly name: string; readonly word: string | undefined }
  | { readonly kind: 'subscribe'; readonly names: readonly string[] }
  | { readonly kind: 'up' | 'down' | 'drop' | 'resume' };

class World {
  readonly engine = new EngineUnderTest();
  readonly toServer: Uint8Array[] = [];
  readonly #server: ModelServer;
  isConnected = false;
  names: ReadonlySet<string> = new Set();

  constructor(server: ModelServer) {
    this.#server = server;
  }

  run(step: Step): void {
    if (step.kind === 'set') this.#server.set(step.name, step.word);
    else if (step.kind === 'subscribe') this.subscribe(new Set(step.names));
    else if (step.kind === 'up') this.up();
    else if (step.kind === 'down') this.down();
    else if (step.kind === 'resume') this.send(this.engine.protocol.resume(this.#server.type.typeUrl));
    else if (this.isConnected) this.drop();
    else this.connect();
  }

  subscribe(names: ReadonlySet<string>): void {
    this.names = names;
    if (!names.has('*')) this.engine.forget(this.#server.type, names);
    this.send(this.engine.protocol.subscribe(this.#server.type, names));
  }

  connect(): void {
    this.isConnected = true;
    this.#server.open();
    for (const request of this.engine.protocol.reconnect()) this.send(request);
  }

  drop(): void {
    this.isConnected = false;
    this.engine.protocol.disconnect();
    this.toServer.length = 0;
    this.#server.toClient.length = 0;
  }

  send(bytes: Uint8Array | undefined): void {
    if (bytes !== undefined) this.toServer.push(bytes);
  }

  up(): boolean {
    const bytes = this.toServer.shift();
    if (bytes !== undefined) this.#server.take(bytes);
    return bytes !== undefined;
  }

  down(): boolean {
    const bytes = this.#server.toClient.shift();
    if (bytes !== undefined) this.send(this.engine.receive(bytes).reply);
    return bytes !== undefined;
  }

  settle(): void {
    if (!this.isConnected) this.connect();
    this.#rest();
    // What the owner does when a name stays unanswered.
    this.send(this.engine.protocol.refresh(this.#server.type.typeUrl));
    this.#rest();
  }

  #rest(): void {
    for (let turn = 0; turn < 500; turn++) {
      const moved = [this.up(), this.down()].includes(true);
      if (moved) continue;
      const held = this.engine.protocol.resume(this.#server.type.typeUrl);
      if (held === undefined) return;
      this.send(held);
    }
    throw new Error('client and server never come to rest');
  }
}

const NAMES = ['a', 'b', 'c', 'd'] as const;
const word = fc.option(fc.constantFrom('one', 'two', 'bad', 'bad too'), { nil: undefined });
const steps = (subscribable: readonly string[]): fc.Arbitrary<Step[]> => {
  const names = fc.uniqueArray(fc.constantFrom(...subscribable), { minLength: 1, maxLength: 3 });
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('set' as const), name: fc.constantFrom(...NAMES), word }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('subscribe' as const), names }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('up' as const, 'down' as const) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('drop' as const, 'resume' as const) }) },
  );
  return fc.array(step, { maxLength: 60, size: 'max' });
};

function expectConverged(world: World, server: ModelServer): void {
  for (const name of NAMES) {
    if (!world.names.has(name) && !world.names.has('*')) continue;
    const there = server.words.get(name);
    // State of the world can't tell of removals of types that are not complete.
    if (there !== undefined || server.type.complete)
      expect(world.engine.value(server.type, name), name).toBe(there);
  }
}

describe('the state-of-the-world engine', () => {
  test.each([
    ['complete', completeType, [...NAMES, '*']],
    ['partial', partialType, NAMES],
  ] as const)(
    'comes to hold what the server has, whatever happened before (%s type)',
    (_, makeType, subscribable) => {
      const property = fc.property(steps(subscribable), fc.boolean(), (all, isTerse) => {
        const server = new ModelServer(makeType(), isTerse);
        const world = new World(server);
        world.subscribe(new Set(['a', 'b']));
        world.connect();
        for (const one of all) world.run(one);
        for (const [name, value] of server.words) if (value.startsWith('bad')) server.set(name, 'mended');
        world.settle();
        expectConverged(world, server);
      });
      fc.assert(property, { numRuns: 1500 });
    },
  );

  test('a refused set comes to rest: the engine does not spin', () => {
    fc.assert(
      fc.property(steps([...NAMES, '*']), (all) => {
        const type = completeType();
        const server = new ModelServer(type, false);
        const world = new World(server);
        world.subscribe(new Set(['*']));
        server.set('a', 'bad');
        for (const one of all) if (one.kind !== 'resume') world.run(one);
        if (!world.isConnected) world.connect();
        let moves = 0;
        while ([world.up(), world.down()].includes(true)) expect(++moves).toBeLessThan(50);
      }),
      { numRuns: 300 },
    );
  });

  test('arbitrary bytes raise nothing but its own error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const engine = new EngineUnderTest();
        engine.protocol.subscribe(completeType(), new Set(['*']));
        engine.protocol.reconnect();
        try {
          engine.receive(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'INMESH_XDS_DECODE' });
        }
      }),
      { numRuns: 2000 },
    );
  });
});
