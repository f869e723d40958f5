import fc from 'fast-check';
import { expect } from 'vitest';
import type { DecodableType, EngineOptions, Protocol } from '../../../src/xds/protocol.js';
import { EngineUnderTest } from '../../unit/xds/engine-fixtures.js';

/** One type of a server. */
export interface ModelServer {
  readonly type: DecodableType;
  readonly words: ReadonlyMap<string, string>;
  /** Messages on their way. */
  readonly toClient: Uint8Array[];
  /** Whether it can tell that something is gone: state of the world can't, of types that are not complete. */
  readonly tellsRemovals: boolean;
  set(name: string, word: string | undefined): void;
  open(): void;
  take(bytes: Uint8Array): void;
  /** Sends its last message once more. */
  repeat(): void;
}

/** One thing that happens. */
export type Step =
  | { readonly kind: 'set'; readonly name: string; readonly word: string | undefined }
  | { readonly kind: 'subscribe'; readonly names: readonly string[] }
  | { readonly kind: 'up' | 'down' | 'drop' | 'resume' | 'pause' | 'again' };

/** An engine, a server, and what is under way between them. */
export class World {
  readonly engine: EngineUnderTest;
  readonly toServer: Uint8Array[] = [];
  readonly #server: ModelServer;
  isConnected = false;
  names: ReadonlySet<string> = new Set();

  constructor(server: ModelServer, create: (options: EngineOptions) => Protocol) {
    this.#server = server;
    this.engine = new EngineUnderTest(create);
  }

  run(step: Step): void {
    if (step.kind === 'set') this.#server.set(step.name, step.word);
    else if (step.kind === 'subscribe') this.subscribe(new Set(step.names));
    else if (step.kind === 'up') this.up();
    else if (step.kind === 'down') this.down();
    else if (step.kind === 'resume') this.send(this.engine.protocol.resume(this.#server.type.typeUrl));
    else if (step.kind === 'pause') this.engine.protocol.pause(this.#server.type.typeUrl);
    else if (step.kind === 'again') this.#server.repeat();
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
    this.send(this.engine.protocol.resume(this.#server.type.typeUrl));
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

/** All names there are. */
export const NAMES = ['a', 'b', 'c', 'd'] as const;
const word = fc.option(fc.constantFrom('one', 'two', 'bad', 'bad too'), { nil: undefined });
/** What may happen, in any order. */
export const steps = (subscribable: readonly string[]): fc.Arbitrary<Step[]> => {
  const names = fc.uniqueArray(fc.constantFrom(...subscribable), { minLength: 1, maxLength: 3 });
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('set' as const), name: fc.constantFrom(...NAMES), word }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('subscribe' as const), names }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('up' as const, 'down' as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constantFrom('drop' as const, 'resume' as const, 'pause' as const, 'again' as const),
      }),
    },
  );
  return fc.array(step, { maxLength: 60, size: 'max' });
};

/** Checks that the engine holds what the server has of what is wanted. */
export function expectConverged(world: World, server: ModelServer): void {
  for (const name of NAMES) {
    if (!world.names.has(name) && !world.names.has('*')) continue;
    const there = server.words.get(name);
    if (there !== undefined || server.tellsRemovals)
      expect(world.engine.value(server.type, name), name).toBe(there);
  }
}
