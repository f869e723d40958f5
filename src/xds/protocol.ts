import type { core } from '../proto/xds.js';
import type { MeshError } from '../runtime/errors.js';
import type { Random } from '../runtime/random.js';

/** The name that subscribes to everything the server has for this client. */
export const WILDCARD = '*';

/** The part of a resource type that the receiving side needs. */
export interface DecodableType<T = unknown> {
  readonly typeUrl: string;
  /** Envoy's short name, e.g. `CDS`. */
  readonly short: string;
  /** Whether a response is the complete set, so that absence means removal (LDS, CDS). */
  readonly complete: boolean;
  /** Whether it holds keys, which are for nobody's eyes and no disk. */
  readonly isSecret?: boolean | undefined;
  /**
   * Its names are `<namespace>/<rest>`, told by what is around the resource. A namespace stands for all names in it, and
   * a resource may answer for other names (VHDS).
   */
  readonly isNamespaced?: boolean | undefined;
  /** A removed value goes, although a response is not the complete set. */
  readonly isRemovable?: boolean | undefined;
  decode(bytes: Uint8Array): { readonly name: string; readonly resource: T };
  /** The same with pauses, given the value in force, for those whose resources may be large. */
  decodeInSteps?(
    bytes: Uint8Array,
    held: { readonly bytes: Uint8Array; readonly resource: T } | undefined,
  ): Generator<void, { readonly name: string; readonly resource: T }>;
  /** Whether a value says something by being received again, though it is the same. */
  countsAnew?(resource: T): boolean;
}

/** What one response says about one resource. */
export type ResourceChange =
  | {
      readonly kind: 'updated';
      readonly type: DecodableType;
      readonly name: string;
      readonly bytes: Uint8Array;
      readonly resource: unknown;
      readonly version: string;
      /** How long it counts from now on; undefined = until it is removed. */
      readonly ttlMs?: number | undefined;
    }
  /** Sent again with the bytes that are held already, or said to be still there (a heartbeat). */
  | {
      readonly kind: 'unchanged';
      readonly type: DecodableType;
      readonly name: string;
      readonly version: string;
      readonly ttlMs?: number | undefined;
    }
  /** The server does not have it (any more). */
  | { readonly kind: 'removed'; readonly type: DecodableType; readonly name: string }
  /** The server says why it has no value to send (gRFC A88); `code` is gRPC's. */
  | {
      readonly kind: 'failed';
      readonly type: DecodableType;
      readonly name: string;
      readonly code: number;
      readonly error: MeshError;
    }
  /** Refused; `bytes` are the refused ones. */
  | {
      readonly kind: 'rejected';
      readonly type: DecodableType;
      readonly name: string;
      readonly bytes: Uint8Array;
      readonly error: MeshError;
      readonly version: string;
    };

/** What follows from one message of the server. */
export interface Received {
  readonly typeUrl: string;
  /** What the server says of itself (xDS `control_plane.identifier`). */
  readonly server?: string | undefined;
  readonly changes: readonly ResourceChange[];
  /** Complaints that belong to no nameable resource. */
  readonly errors: readonly MeshError[];
  /** Names that were asked for, with those that resources answer for them under; undefined: nothing does. */
  readonly aliases?: ReadonlyMap<string, string | undefined> | undefined;
  /** To be sent at once. */
  readonly reply: Uint8Array | undefined;
  /** Set when the reply is held back: ask `resume` for it after `delayMs`. */
  readonly withheld: { readonly typeUrl: string; readonly delayMs: number } | undefined;
}

/** What the owner of the data holds under a name, so that equal bytes are not decoded again. */
export interface HeldBytes {
  /** The bytes in force. */
  readonly accepted: Uint8Array | undefined;
  /** What they were decoded to. */
  readonly resource: unknown;
  /** Version under which the server sent them last. */
  readonly version: string;
  /** The bytes refused last, with the complaint. */
  readonly rejected: { readonly bytes: Uint8Array; readonly error: MeshError } | undefined;
}

/** The engine's view of the data that its owner holds. */
export interface HeldResources {
  get(typeUrl: string, name: string): HeldBytes | undefined;
  /** Names with accepted bytes. */
  names(typeUrl: string): Iterable<string>;
}

/** What an engine works with. */
export interface EngineOptions {
  readonly node: core.Node;
  readonly held: HeldResources;
  readonly random: Random;
}

/**
 * An xDS protocol engine: a state machine without I/O. Messages are encoded bytes. It knows subscriptions, versions
 * and nonces; the data is held by its owner.
 */
export interface Protocol {
  /** Path of the gRPC method that carries this protocol. */
  readonly method: string;
  /** Replaces the names subscribed to. Returns the request to send, if the stream is open and one is due. */
  subscribe(type: DecodableType, names: ReadonlySet<string>): Uint8Array | undefined;
  /**
   * Takes one message; it may pause while it decodes, and takes the next one only when it is done. Throws a MeshError
   * when it is not a discovery response at all.
   */
  receive(message: Uint8Array): Generator<void, Received>;
  /** Holds requests of a type back, so that changes of its subscription gather, until `resume`. */
  pause(typeUrl: string): void;
  /** What was held back, by a pause or to slow the server down, if it is still due. */
  resume(typeUrl: string): Uint8Array | undefined;
  /** The request that a pause holds back, if one is due; the pause goes on. A NACK that slows the server down stays. */
  release(typeUrl: string): Uint8Array | undefined;
  /**
   * Asks again for what was not answered, or for everything. Servers may lose a request (go-control-plane drops one with
   * a stale nonce, and with it the news that a name was given up and wanted again).
   */
  refresh(typeUrl: string, isForAll?: boolean): Uint8Array | undefined;
  /**
   * A new stream is open: its first requests. To another server than before, what was acknowledged says nothing.
   */
  reconnect(isOtherServer?: boolean): readonly Uint8Array[];
  /** The stream is gone: nothing may be sent until `reconnect`. */
  disconnect(): void;
  /** Replaces the node. Returns the request that tells the server at once, if the stream is open. */
  setNode(node: core.Node): Uint8Array | undefined;
}
