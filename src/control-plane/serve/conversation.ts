import { readMessage } from '../../proto/read-message.js';
import { type core, discovery } from '../../proto/xds.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import { type Channel, MAX_NAMES, type Outcome } from './channel.js';
import { DeltaChannel } from './delta-channel.js';
import type { InterestTable } from './interest.js';
import { Ledger } from './ledger.js';
import type { NameListTable } from './name-list.js';
import { misshapen, type RequestShape } from './request-shape.js';
import type { ServedType } from './resources.js';
import { SotwChannel } from './sotw-channel.js';
import { takeOut } from './take-out.js';
import type { SnapshotTable } from './type-snapshot.js';
import type { ProtocolName } from './wire.js';

/** What all streams share, so that equal things are there once. */
export interface SharedTables {
  readonly snapshots: SnapshotTable;
  readonly interests: InterestTable;
  readonly nameLists: NameListTable;
}

/** A request, as far as it can be read without knowing its type. */
export interface Incoming {
  /** Undefined when it is the same as before, or was left out. */
  readonly node: core.Node | undefined;
  /** Empty on the streams of one type. */
  readonly typeUrl: string;
  readonly error: string | undefined;
  /** The client brings what an earlier stream told it. */
  readonly isReturning: boolean;
  /** Takes it in. */
  apply(type: ServedType, atMs: number): Outcome;
}

/** The requests and channels of one stream in one of the two protocols. */
export interface Conversation {
  readonly protocol: ProtocolName;
  /**
   * Reads a request.
   * @throws MeshError `INMESH_XDS_DECODE`.
   */
  read(message: Uint8Array): Incoming;
  channel(type: ServedType): Channel | undefined;
  readonly channels: Iterable<Channel>;
}

/** Field numbers of a DiscoveryRequest. */
const SOTW_NODE = 2;
const RESOURCE_NAMES = 3;
/** Of a DeltaDiscoveryRequest. */
const DELTA_NODE = 1;

const SOTW_SHAPE: RequestShape = { lists: [RESOURCE_NAMES], maxEntries: MAX_NAMES };
/** Names that are subscribed to and given up, and with their versions those of a stream before. */
const DELTA_SHAPE: RequestShape = { lists: [3, 4, 5], maxEntries: 2 * MAX_NAMES };

/** Reads the node when it differs from the one before: Envoy sends it with every request. */
class NodeReader {
  #bytes: Uint8Array = new Uint8Array(0);

  /** Whether `field` is news; remembers it. */
  isNews(field: Uint8Array): boolean {
    if (field.length === 0 || Buffer.compare(this.#bytes, field) === 0) return false;
    this.#bytes = field.slice();
    return true;
  }
}

/** The channels of a stream, each opened by the first request of its type. */
class ChannelTable<C extends Channel> {
  readonly tables: SharedTables;
  readonly #open = new Map<ServedType, C>();
  readonly #create: (ledger: Ledger, interests: InterestTable) => C;

  constructor(tables: SharedTables, create: (ledger: Ledger, interests: InterestTable) => C) {
    this.tables = tables;
    this.#create = create;
  }

  get all(): Iterable<C> {
    return this.#open.values();
  }

  get(type: ServedType): C | undefined {
    return this.#open.get(type);
  }

  open(type: ServedType): C {
    let channel = this.#open.get(type);
    if (channel === undefined) {
      const { snapshots, interests } = this.tables;
      channel = this.#create(new Ledger(type, snapshots.empty), interests);
      this.#open.set(type, channel);
    }
    return channel;
  }
}

/** State of the world. */
export class SotwConversation implements Conversation {
  readonly protocol = 'sotw';
  readonly #channels: ChannelTable<SotwChannel>;
  readonly #node = new NodeReader();

  constructor(tables: SharedTables) {
    this.#channels = new ChannelTable(tables, (ledger, interests) => new SotwChannel(ledger, interests));
  }

  get channels(): Iterable<Channel> {
    return this.#channels.all;
  }

  channel(type: ServedType): Channel | undefined {
    return this.#channels.get(type);
  }

  read(message: Uint8Array): Incoming {
    try {
      checkShape(message, SOTW_SHAPE);
      const { field: nodeField, rest } = takeOut(message, SOTW_NODE);
      const { field: nameBytes, rest: other } = takeOut(rest, RESOURCE_NAMES);
      const request = readMessage(discovery.DiscoveryRequestSchema, other);
      const { versionInfo: version, responseNonce: nonce, typeUrl } = request;
      const error = request.errorDetail?.message;
      return {
        node: this.#node.isNews(nodeField)
          ? readMessage(discovery.DiscoveryRequestSchema, nodeField).node
          : undefined,
        typeUrl,
        error,
        isReturning: nonce === '' && version !== '',
        apply: (type, atMs) => {
          const channel = this.#channels.open(type);
          const names = this.#channels.tables.nameLists.read(nameBytes, channel.names);
          if (names.names.size > MAX_NAMES) throw tooMany();
          return channel.receive({ names, version, nonce, error }, atMs);
        },
      };
    } catch (cause) {
      throw MeshError.is(cause) ? cause : broken(`no DiscoveryRequest: ${messageOf(cause)}`);
    }
  }
}

/** Delta. */
export class DeltaConversation implements Conversation {
  readonly protocol = 'delta';
  readonly #channels: ChannelTable<DeltaChannel>;
  #hasChannels = false;
  readonly #node = new NodeReader();

  constructor(tables: SharedTables) {
    this.#channels = new ChannelTable(tables, (ledger, interests) => {
      const isFirst = !this.#hasChannels;
      this.#hasChannels = true;
      return new DeltaChannel(ledger, interests, isFirst);
    });
  }

  get channels(): Iterable<Channel> {
    return this.#channels.all;
  }

  channel(type: ServedType): Channel | undefined {
    return this.#channels.get(type);
  }

  read(message: Uint8Array): Incoming {
    try {
      checkShape(message, DELTA_SHAPE);
      const { field: nodeField, rest } = takeOut(message, DELTA_NODE);
      const request = readMessage(discovery.DeltaDiscoveryRequestSchema, rest);
      const error = request.errorDetail?.message;
      return {
        node: this.#node.isNews(nodeField)
          ? readMessage(discovery.DeltaDiscoveryRequestSchema, nodeField).node
          : undefined,
        typeUrl: request.typeUrl,
        error,
        isReturning: Object.keys(request.initialResourceVersions).length > 0,
        apply: (type, atMs) => {
          const channel = this.#channels.open(type);
          if (channel.ledger.interest.names.size + request.resourceNamesSubscribe.length > MAX_NAMES)
            throw tooMany();
          return channel.receive(
            {
              subscribe: request.resourceNamesSubscribe,
              unsubscribe: request.resourceNamesUnsubscribe,
              initialVersions: request.initialResourceVersions,
              nonce: request.responseNonce,
              error,
            },
            atMs,
          );
        },
      };
    } catch (cause) {
      throw MeshError.is(cause) ? cause : broken(`no DeltaDiscoveryRequest: ${messageOf(cause)}`);
    }
  }
}

function checkShape(message: Uint8Array, shape: RequestShape): void {
  const why = misshapen(message, shape);
  if (why !== undefined) throw broken(why);
}

/** The client does not keep to the protocol: its stream must end. */
export function broken(what: string): MeshError {
  return new MeshError('INMESH_XDS_DECODE', `the client broke the xDS protocol: ${what}`);
}

function tooMany(): MeshError {
  return broken(`more than ${MAX_NAMES} resource names`);
}
