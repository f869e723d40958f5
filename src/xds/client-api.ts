import type { CustomFilterTypes } from '../model/custom-filter.js';
import type { Node } from '../model/node.js';
import type { RuntimeLayerSource } from '../model/runtime.js';
import type { Unsubscribe } from '../runtime/abort.js';
import type { Clock } from '../runtime/clock.js';
import type { MeshError } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';
import type { Signal } from '../runtime/signal.js';
import type { ServerState } from './authority.js';
import type { SnapshotCache } from './cache.js';
import type { RejectionObserver } from './report.js';
import type { StreamState } from './resource-stream.js';
import type { XdsServer } from './server.js';
import type { ResourceStatus } from './store.js';
import type { OpenStream } from './stream.js';
import type { PublishedSnapshot } from './synchronizer.js';

/** What an xDS client works with. */
export interface XdsClientOptions {
  readonly node: Node;
  /** Who answers for names of the old style: the first server, or the next one while it fails (gRFC A71). */
  readonly servers: readonly XdsServer[];
  /** Who answers for `xdstp://` names, by their authority (gRFC A47). */
  readonly authorities?: ReadonlyMap<string, readonly XdsServer[]> | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: RejectionObserver;
  /** Where the last good configuration of an authority is kept (`#old`: names of the old style). */
  readonly cacheOf?: ((authority: string) => SnapshotCache | undefined) | undefined;
  /** Whether to ask for all listeners that the server has for this node. Default true. */
  readonly wildcard?: boolean;
  /** Names of outbound listeners to ask for next to the wildcard. */
  readonly outboundNames?: readonly string[];
  /** Names of inbound listeners to ask for. */
  readonly inboundNames?: readonly string[];
  /** Clusters to ask for that no listener needs. */
  readonly clusterNames?: readonly string[];
  /** What the runtime is made of, the last layer above all; by default there is none. */
  readonly runtime?: readonly RuntimeLayerSource[] | undefined;
  /** Secrets that are followed although no cluster names them; nothing waits for them. */
  readonly secretNames?: readonly string[];
  /** Filters of the application that listeners and routes may configure. */
  readonly customFilters?: CustomFilterTypes | undefined;
  /** How long a resource may stay unanswered on a ready stream before it counts as absent. Default 15 s. */
  readonly missingTimeoutMs?: number;
  /** Whether waiting for the first configuration keeps the process alive. Default true. */
  readonly holdsProcess?: boolean;
  /** Replaces the gRPC stream, for tests and simulations. */
  readonly openStream?: (server: XdsServer) => OpenStream;
}

/** The state of the stream to the control plane. */
export interface ConnectionState {
  readonly state: StreamState;
  /** Calendar time in milliseconds. */
  readonly since: number;
  /** Why the last stream ended. */
  readonly lastError?: MeshError;
}

/** The ADS client: keeps the newest complete configuration in force, with or without its control plane. */
export interface XdsClient {
  readonly published: Signal<PublishedSnapshot>;
  readonly connected: Signal<ConnectionState>;
  /** Tells the control plane at once, if it is connected. */
  setNode(node: Node): void;
  /** Replaces the names of inbound listeners to ask for. */
  setInboundNames(names: readonly string[]): void;
  /** Asks for one more outbound listener until the returned function is called; several may ask for the same. */
  wantListener(name: string): Unsubscribe;
  /**
   * Asks for a virtual host of a table that has more to give (VHDS). `done` is called once: true when requests find it,
   * false when there is none, or when nobody answers. Returns how to stop waiting.
   */
  wantVirtualHost(table: string, host: string, done: (isThere: boolean) => void): Unsubscribe;
  status(): readonly ResourceStatus[];
  /** The servers in use, by authority. */
  servers(): readonly ServerStatus[];
  /** The server that a resource of this name comes from, and the way to it; undefined when there is none now. */
  serverOf(name: string): ServerLink | undefined;
  /** Whether that server may rewrite the authority of calls (gRFC A81); false when there is none now. */
  isTrusted(name: string): boolean;
  close(): Promise<void>;
}

/** A server of an authority, for status pages. */
export interface ServerStatus extends ServerState {
  /** Calendar time in milliseconds at which the authority's values on disk were saved, as long as some of them are in use. */
  readonly savedAtMs: number | undefined;
}

/** A server, for streams of other services that it has. */
export interface ServerLink {
  /** Equal for equal servers. */
  readonly key: string;
  readonly open: OpenStream;
}
