import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { typeUrlOf } from '../../../src/proto/any.js';
import { core, discovery, wkt } from '../../../src/proto/xds.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createDelta } from '../../../src/xds/delta.js';
import type {
  DecodableType,
  EngineOptions,
  HeldBytes,
  Protocol,
  Received,
  ResourceChange,
} from '../../../src/xds/protocol.js';
import { createSotw } from '../../../src/xds/sotw.js';

/** A made-up resource: a name and a word; the word `bad` does not decode. */
export interface Word {
  readonly name: string;
  readonly word: string;
}

function wordType(short: string, complete: boolean): DecodableType<Word> & { decoded: number } {
  return {
    typeUrl: `type.googleapis.com/test.${short}`,
    short,
    complete,
    decoded: 0,
    decode(bytes) {
      this.decoded++;
      const reader = new BinaryReader(bytes);
      let [name, word] = ['', ''];
      while (reader.pos < reader.len) {
        const [field, wireType] = reader.tag();
        if (field === 1) name = reader.string();
        else if (field === 2) word = reader.string();
        else reader.skip(wireType);
      }
      if (word.startsWith('bad')) throw new MeshError('INMESH_XDS_DECODE', `word: ${word} is not allowed`);
      return { name, resource: { name, word } };
    },
  };
}

/** A type whose responses are the complete set, and one whose are not. */
export const completeType = () => wordType('WHOLE', true);
export const partialType = () => wordType('PART', false);

/** The bytes of a Word. */
export function wordBytes({ name, word }: Word): Uint8Array {
  const writer = new BinaryWriter();
  return writer
    .tag(1, WireType.LengthDelimited)
    .string(name)
    .tag(2, WireType.LengthDelimited)
    .string(word)
    .finish();
}

/** A Word as a packed resource. */
export function packed(type: DecodableType, name: string, word: string): wkt.Any {
  return create(wkt.AnySchema, { typeUrl: type.typeUrl, value: wordBytes({ name, word }) });
}

/** Why a server has no value under a name. */
export type Failure = readonly [name: string, code: number, message: string];

const resourceError = ([name, code, message]: Failure) =>
  create(discovery.ResourceErrorSchema, { resourceName: { name }, errorDetail: { code, message } });

/** An encoded response. */
export function response(
  type: DecodableType,
  version: string,
  nonce: string,
  resources: wkt.Any[],
  failures: readonly Failure[] = [],
): Uint8Array {
  const message = create(discovery.DiscoveryResponseSchema, {
    typeUrl: type.typeUrl,
    versionInfo: version,
    nonce,
    resources,
    resourceErrors: failures.map(resourceError),
  });
  return toBinary(discovery.DiscoveryResponseSchema, message);
}

/** A request as the server reads it. */
export function readRequest(bytes: Uint8Array | undefined) {
  if (bytes === undefined) return undefined;
  const message = fromBinary(discovery.DiscoveryRequestSchema, bytes);
  return {
    typeUrl: message.typeUrl,
    names: [...message.resourceNames].sort(),
    version: message.versionInfo,
    nonce: message.responseNonce,
    node: message.node?.id,
    error: message.errorDetail?.message,
  };
}

/** One resource of a response as a test writes it: a word, or undefined for a heartbeat. */
export interface Sent {
  readonly name: string;
  readonly word?: string | undefined;
  readonly version?: string;
  readonly ttlMs?: number;
}

function wrapped(type: DecodableType, { name, word, version = '', ttlMs }: Sent): discovery.Resource {
  const resource = word === undefined ? undefined : packed(type, name, word);
  const ttl =
    ttlMs === undefined
      ? undefined
      : create(wkt.DurationSchema, {
          seconds: BigInt(Math.floor(ttlMs / 1000)),
          nanos: (ttlMs % 1000) * 1e6,
        });
  return create(discovery.ResourceSchema, {
    name,
    version,
    ...(resource && { resource }),
    ...(ttl && { ttl }),
  });
}

/** An encoded response whose resources are in `Resource` wrappers. */
export function wrappedResponse(
  type: DecodableType,
  version: string,
  nonce: string,
  resources: readonly Sent[],
  failures: readonly Failure[] = [],
): Uint8Array {
  const anys = resources.map((one) =>
    create(wkt.AnySchema, {
      typeUrl: typeUrlOf(discovery.ResourceSchema),
      value: toBinary(discovery.ResourceSchema, wrapped(type, one)),
    }),
  );
  return response(type, version, nonce, anys, failures);
}

/** An encoded incremental response. */
export function deltaResponse(
  type: DecodableType,
  nonce: string,
  resources: readonly Sent[],
  removed: readonly string[] = [],
  failures: readonly Failure[] = [],
): Uint8Array {
  const message = create(discovery.DeltaDiscoveryResponseSchema, {
    typeUrl: type.typeUrl,
    nonce,
    resources: resources.map((one) => wrapped(type, one)),
    removedResources: [...removed],
    resourceErrors: failures.map(resourceError),
  });
  return toBinary(discovery.DeltaDiscoveryResponseSchema, message);
}

/** An incremental request as the server reads it. */
export function readDeltaRequest(bytes: Uint8Array | undefined) {
  if (bytes === undefined) return undefined;
  const message = fromBinary(discovery.DeltaDiscoveryRequestSchema, bytes);
  return {
    typeUrl: message.typeUrl,
    subscribe: [...message.resourceNamesSubscribe].sort(),
    unsubscribe: [...message.resourceNamesUnsubscribe].sort(),
    initial: { ...message.initialResourceVersions },
    nonce: message.responseNonce,
    node: message.node?.id,
    error: message.errorDetail?.message,
  };
}

/** What both engines understand, for the suite that is common to them. */
export interface EngineKind {
  readonly label: string;
  readonly create: CreateEngine;
  readonly respond: (
    type: DecodableType,
    nonce: string,
    resources: readonly Sent[],
    failures?: readonly Failure[],
  ) => Uint8Array;
  readonly read: (
    bytes: Uint8Array | undefined,
  ) => { typeUrl: string; nonce: string; node: string | undefined; error: string | undefined } | undefined;
}

/** Both engines. */
export const ENGINES: readonly EngineKind[] = [
  {
    label: 'state of the world',
    create: createSotw,
    respond: (type, nonce, resources, failures) =>
      wrappedResponse(type, `v-${nonce}`, nonce, resources, failures),
    read: readRequest,
  },
  {
    label: 'delta',
    create: createDelta,
    respond: (type, nonce, resources, failures) => deltaResponse(type, nonce, resources, [], failures),
    read: readDeltaRequest,
  },
];

type CreateEngine = (options: EngineOptions) => Protocol;

interface Holding {
  readonly bytes?: Uint8Array;
  readonly value?: unknown;
  readonly version: string;
  readonly rejected?: HeldBytes['rejected'];
}

/** An engine with a minimal owner of its data. */
export class EngineUnderTest {
  readonly held = new Map<string, Holding>();
  readonly protocol: Protocol;

  constructor(createEngine: CreateEngine = createSotw, seed = 1) {
    const key = (typeUrl: string, name: string) => `${typeUrl} ${name}`;
    this.protocol = createEngine({
      node: create(core.NodeSchema, { id: 'node-1' }),
      random: seededRandom(seed),
      held: {
        get: (typeUrl, name) => {
          const one = this.held.get(key(typeUrl, name));
          if (one === undefined) return undefined;
          return { accepted: one.bytes, resource: one.value, version: one.version, rejected: one.rejected };
        },
        names: (typeUrl) =>
          [...this.held]
            .filter(([id, one]) => id.startsWith(`${typeUrl} `) && one.bytes !== undefined)
            .map(([id]) => id.slice(typeUrl.length + 1)),
      },
    });
  }

  receive(message: Uint8Array, atPause: () => void = () => {}): Received {
    const work = this.protocol.receive(message);
    let step = work.next();
    for (; step.done !== true; step = work.next()) atPause();
    const received = step.value;
    for (const change of received.changes) this.#apply(change);
    return received;
  }

  #apply(change: ResourceChange): void {
    const id = `${change.type.typeUrl} ${change.name}`;
    const old = this.held.get(id) ?? { version: '' };
    if (change.kind === 'updated')
      this.held.set(id, { bytes: change.bytes, value: change.resource, version: change.version });
    if (change.kind === 'removed') this.held.delete(id);
    if (change.kind === 'rejected')
      this.held.set(id, { ...old, rejected: { bytes: change.bytes, error: change.error } });
    if (change.kind === 'unchanged')
      this.held.set(id, { ...old, version: change.version, rejected: undefined });
  }

  value(type: DecodableType, name: string): string | undefined {
    return (this.held.get(`${type.typeUrl} ${name}`)?.value as Word | undefined)?.word;
  }

  forget(type: DecodableType, names: ReadonlySet<string>): void {
    for (const id of this.held.keys()) {
      if (id.startsWith(`${type.typeUrl} `) && !names.has(id.slice(type.typeUrl.length + 1)))
        this.held.delete(id);
    }
  }
}
