import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CLUSTER, CLUSTER_LOAD_ASSIGNMENT } from '../../../src/codec/resource-types.js';
import { ClientSession } from '../../../src/control-plane/serve/client-session.js';
import { DeltaConversation, SotwConversation } from '../../../src/control-plane/serve/conversation.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { createDelta } from '../../../src/xds/delta.js';
import type { DecodableType } from '../../../src/xds/protocol.js';
import { createSotw } from '../../../src/xds/sotw.js';
import { CDS, EDS, World, withEntry } from '../../unit/control-plane/serve/world.js';
import { EngineUnderTest } from '../../unit/xds/engine-fixtures.js';
import { assignmentOf, clusterOf } from '../../unit/xds/fixtures.js';

const NAMES = ['a', 'b', 'c', 'd'] as const;
const PORTS = { one: 1, two: 2, bad: 3 } as const;
type Word = keyof typeof PORTS;
type Short = 'CDS' | 'EDS';

const HALVES = {
  'state of the world': { createEngine: createSotw, Conversation: SotwConversation },
  delta: { createEngine: createDelta, Conversation: DeltaConversation },
} as const;

type Step =
  | { readonly kind: 'set'; readonly type: Short; readonly name: string; readonly word: Word | undefined }
  | { readonly kind: 'subscribe'; readonly names: readonly string[] }
  | { readonly kind: 'up' | 'down' | 'drop' | 'publish' | 'resume' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      type: fc.constantFrom<Short[]>('CDS', 'EDS'),
      name: fc.constantFrom(...NAMES),
      word: fc.option(fc.constantFrom<Word[]>('one', 'two', 'bad'), { nil: undefined }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('subscribe' as const),
      names: fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('up' as const, 'down' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('publish' as const, 'drop' as const, 'resume' as const) }),
  },
);

/** Our client's engine and our server's session, with messages under way between them. */
class Halves {
  readonly world = new World();
  readonly types: readonly [DecodableType, DecodableType];
  readonly engine: EngineUnderTest;
  readonly #half: (typeof HALVES)[keyof typeof HALVES];
  readonly #toServer: Uint8Array[] = [];
  #toClient: Uint8Array[] = [];
  #session: ClientSession | undefined;
  names: ReadonlySet<string> = new Set(['a', 'b']);

  constructor(half: (typeof HALVES)[keyof typeof HALVES]) {
    this.#half = half;
    this.engine = new EngineUnderTest(half.createEngine);
    this.types = [this.#refusing(CLUSTER), this.#refusing(CLUSTER_LOAD_ASSIGNMENT)];
    this.#send(this.engine.protocol.subscribe(this.types[0], new Set(['*'])));
    this.#send(this.engine.protocol.subscribe(this.types[1], this.names));
  }

  run(one: Step): void {
    const { protocol } = this.engine;
    if (one.kind === 'set') this.put(one.type, one.name, one.word);
    else if (one.kind === 'subscribe') this.#subscribe(new Set(one.names));
    else if (one.kind === 'publish') this.world.publish();
    else if (one.kind === 'up') this.#up();
    else if (one.kind === 'down') this.#down();
    else if (one.kind === 'resume')
      for (const { typeUrl } of this.types) this.#send(protocol.resume(typeUrl));
    else if (this.#session === undefined) this.#connect();
    else this.#drop();
  }

  put(type: Short, name: string, word: Word | undefined): void {
    const { world } = this;
    if (type === 'CDS') {
      const cluster = word && { ...clusterOf(name), connectTimeoutMs: 1000 * PORTS[word] };
      if (cluster !== undefined && word === 'bad') world.spoil(CDS, cluster);
      world.clusters = withEntry(world.clusters, name, cluster);
    } else {
      const assignment = word && assignmentOf(name, PORTS[word]);
      if (assignment !== undefined && word === 'bad') world.spoil(EDS, assignment);
      world.endpoints = withEntry(world.endpoints, name, assignment);
    }
  }

  /** Mends what is bad, and lets everything arrive. */
  settle(): void {
    for (const name of NAMES) {
      for (const type of ['CDS', 'EDS'] as const) {
        const there = this.world.expected(type === 'CDS' ? CDS : EDS, name);
        if (there !== undefined && this.world.isBad(there)) this.put(type, name, 'one');
      }
    }
    if (this.#session === undefined) this.#connect();
    this.world.publish();
    for (let turn = 0; turn < 500; turn++) {
      if ([this.#up(), this.#down()].includes(true)) continue;
      const held = this.types.flatMap(({ typeUrl }) => this.engine.protocol.resume(typeUrl) ?? []);
      if (held.length === 0) return;
      this.#toServer.push(...held);
    }
    throw new Error('client and server never come to rest');
  }

  held({ typeUrl }: DecodableType, name: string): string | undefined {
    const bytes = this.engine.held.get(`${typeUrl} ${name}`)?.bytes;
    return bytes && Buffer.from(bytes).toString('base64');
  }

  #subscribe(names: ReadonlySet<string>): void {
    this.names = names;
    this.engine.forget(this.types[1], names);
    this.#send(this.engine.protocol.subscribe(this.types[1], names));
  }

  #connect(): void {
    const { world } = this;
    const session: ClientSession = new ClientSession({
      conversation: new this.#half.Conversation(world.tables),
      snapshots: world.tables.snapshots,
      state: () => world.published,
      clock: world.clock,
      logger: silentLogger,
      onNode: () => {},
      write: (message) => this.#toClient.push(Buffer.concat(message)) > 0,
      holdsBack: () => false,
      wake: () => session.push(),
    });
    this.#session = session;
    world.sessions.add(session);
    for (const request of this.engine.protocol.reconnect()) this.#send(request);
  }

  #drop(): void {
    if (this.#session === undefined) return;
    this.#session.close();
    this.world.sessions.delete(this.#session);
    this.#session = undefined;
    this.engine.protocol.disconnect();
    this.#toServer.length = 0;
    this.#toClient = [];
  }

  #send(request: Uint8Array | undefined): void {
    if (request !== undefined) this.#toServer.push(request);
  }

  #up(): boolean {
    const request = this.#toServer.shift();
    if (request === undefined) return false;
    this.#session?.receive(request);
    this.#session?.push();
    return true;
  }

  #down(): boolean {
    const message = this.#toClient.shift();
    if (message !== undefined) this.#send(this.engine.receive(message).reply);
    return message !== undefined;
  }

  /** The type, which refuses what the world calls bad. */
  #refusing({ typeUrl, short, complete, decode }: DecodableType): DecodableType {
    return {
      typeUrl,
      short,
      complete,
      decode: (bytes) => {
        if (this.world.isBad(Buffer.from(bytes).toString('base64')))
          throw new MeshError('INMESH_XDS_DECODE', 'is bad');
        return decode(bytes);
      },
    };
  }
}

describe.each(['state of the world', 'delta'] as const)('client and server of %s', (name) => {
  test('agree in the end, whatever happened before', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const halves = new Halves(HALVES[name]);
        for (const one of steps) halves.run(one);
        halves.settle();
        for (const one of NAMES) {
          expect(halves.held(halves.types[0], one), `cluster ${one}`).toBe(halves.world.expected(CDS, one));
          const expected = halves.world.expected(EDS, one);
          if (!halves.names.has(one)) continue;
          // State of the world can't tell that endpoints are gone.
          if (expected !== undefined || name === 'delta')
            expect(halves.held(halves.types[1], one), `endpoints ${one}`).toBe(expected);
        }
      }),
      { numRuns: 300 },
    );
  });
});
