import type { Node } from '../../model/node.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import { workloadsOfNode } from '../registry/node-workloads.js';
import type { Lease, WorkloadRegistry } from '../registry/registry.js';
import type { WorkloadHealth } from '../registry/workload.js';
import type { Admission } from './admission.js';
import type { CallerIdentity, CallerOf } from './caller.js';
import type { Outgoing } from './channel.js';
import { ClientSession, type PublishedState } from './client-session.js';
import { type Conversation, DeltaConversation, type SharedTables, SotwConversation } from './conversation.js';
import { checkIdentity } from './identity-check.js';
import type { Pushed, PushQueue } from './push-queue.js';
import type { ResourceTtls } from './resource-ttls.js';
import type { ServedType } from './resources.js';
import type { SiblingStreams, TypeStream } from './sibling-streams.js';
import type { ClientStatus } from './status.js';
import type { ProtocolName } from './wire.js';
import type { PiecewiseStream } from './xds-services.js';

const STATUS_INVALID_ARGUMENT = 3;
const STATUS_PERMISSION_DENIED = 7;
const STATUS_RESOURCE_EXHAUSTED = 8;
const STATUS_INTERNAL = 13;
const STATUS_UNAVAILABLE = 14;

/** One stream with its client. */
export interface Connected {
  readonly session: ClientSession;
  readonly turn: Pushed;
  /** Id under which it registers endpoints. */
  readonly owner: string | undefined;
  readonly peer: string;
  readonly spiffeId: string | undefined;
  readonly connectedAtMs: number;
  /** Ends it in an orderly way: the client comes back. */
  end(reason: string): void;
}

/** A stream for one type, among those of its client. */
interface Sibling extends TypeStream {
  readonly session: ClientSession;
  readonly turn: Pushed;
}

/** What streams work with. */
export interface StreamTools {
  readonly connected: Set<Connected>;
  /** Streams for one type. */
  readonly siblings: SiblingStreams<Sibling>;
  readonly tables: SharedTables;
  readonly queue: PushQueue;
  readonly admission: Admission;
  readonly registry: WorkloadRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly state: () => PublishedState;
  /** A client comes: what changed and waits for more is published now, within reason. */
  readonly freshen: () => void;
  readonly holdsBack: () => boolean;
  readonly callerOf: CallerOf;
  readonly ttls: ResourceTtls | undefined;
  /** Cuts the connection of a client that can not be told anything. */
  readonly disconnect: (peer: string) => void;
  /** A client that reads nothing for so long is cut off. */
  readonly sendTimeoutMs: number;
  /** A client answered, came or went. */
  readonly onProgress: () => void;
}

/** Serves one stream. */
export function serveStream(
  call: PiecewiseStream,
  protocol: ProtocolName,
  only: ServedType | undefined,
  tools: StreamTools,
): void {
  const caller = tools.callerOf(call);
  const admitted = tools.admission.enter(caller?.spiffeId, () => {
    const stream = new XdsStream({ call, protocol, only, caller, tools });
    stream.start();
  });
  if (admitted.kind === 'refused') {
    tools.logger.warn({ peer: call.getPeer(), reason: admitted.reason }, 'an xDS stream was refused');
    call.emit('error', { code: STATUS_RESOURCE_EXHAUSTED, details: admitted.reason });
    return;
  }
  for (const event of ['cancelled', 'error', 'close', 'end']) call.once(event, () => admitted.leave());
}

const ALONE: readonly Sibling[] = [];

interface StreamParts {
  readonly call: PiecewiseStream;
  readonly protocol: ProtocolName;
  readonly only: ServedType | undefined;
  readonly caller: CallerIdentity | undefined;
  readonly tools: StreamTools;
}

class XdsStream implements Connected, Pushed {
  readonly session: ClientSession;
  readonly peer: string;
  readonly spiffeId: string | undefined;
  readonly connectedAtMs: number;
  readonly #call: PiecewiseStream;
  readonly #tools: StreamTools;
  #lease: { readonly owner: string; readonly lease: Lease } | undefined;
  #patience: Timer | undefined;
  /** What it said of its health last. */
  #health: WorkloadHealth | undefined;
  /** Its place among the streams of its client. */
  #place: { readonly client: string; readonly self: Sibling } | undefined;

  constructor({ call, protocol, only, caller, tools }: StreamParts) {
    this.#call = call;
    this.#tools = tools;
    this.peer = call.getPeer();
    this.spiffeId = caller?.spiffeId;
    this.connectedAtMs = tools.clock.wallTime();
    this.session = new ClientSession({
      conversation: conversationOf(protocol, tools.tables),
      snapshots: tools.tables.snapshots,
      ttls: tools.ttls,
      only,
      caller,
      state: tools.state,
      clock: tools.clock,
      logger: tools.logger,
      holdsBack: tools.holdsBack,
      wake: () => tools.queue.add(this),
      write: (message) => this.#write(message),
      siblings: () => this.#siblings().map(({ session }) => session),
      onNode: (node) => {
        checkIdentity(node, caller, this.peer);
        if (only !== undefined) this.#takePlace(node.id, only);
        this.#register(node);
      },
      onHealth: (error) => {
        const { node } = this.session;
        this.#health = error === undefined ? 'healthy' : 'unhealthy';
        if (error !== undefined) tools.logger.warn({ client: node?.id, error }, 'a client is not healthy');
        if (node !== undefined) this.#register(node);
      },
    });
  }

  #register(node: Node): void {
    const { connected, registry } = this.#tools;
    const workloads = workloadsOfNode(node, this.#health);
    if (workloads === undefined) return;
    if (this.#lease?.owner !== node.id) {
      checkHolder(node.id, this, connected);
      this.#lease?.lease.end();
      this.#lease = { owner: node.id, lease: registry.lease(node.id) };
    }
    this.#lease.lease.update(workloads);
  }

  /** Id under which it registers endpoints. */
  get owner(): string | undefined {
    return this.#lease?.owner;
  }

  get turn(): Pushed {
    return this;
  }

  start(): void {
    const call = this.#call;
    const finish = () => this.#finish();
    this.#tools.freshen();
    this.#tools.connected.add(this);
    call.on('data', (bytes: Buffer) => {
      this.#attempt(() => {
        if (this.session.receive(bytes)) this.#tools.queue.add(this);
        this.#wakeSiblings();
        this.#tools.onProgress();
      });
    });
    call.on('drain', () => {
      this.#patience?.cancel();
      this.#attempt(() => this.session.writable());
      if (this.session.isBlocked) return;
      this.#tools.queue.release(this);
      this.#tools.queue.add(this);
    });
    call.on('end', () => {
      finish();
      call.end();
    });
    for (const event of ['cancelled', 'error', 'close']) call.on(event, finish);
  }

  *prepare(): Generator<void> {
    try {
      yield* this.session.prepare();
    } catch (error) {
      this.#fail(error);
    }
  }

  push(): boolean {
    this.#attempt(() => this.session.push());
    // There may have been nothing to send, so that no answer will tell.
    this.#tools.onProgress();
    return this.session.isBlocked;
  }

  end(reason: string): void {
    this.#finish();
    this.#call.emit('error', { code: STATUS_UNAVAILABLE, details: reason });
  }

  #write(message: Outgoing): boolean {
    if (this.#call.write(message)) return true;
    const { clock, sendTimeoutMs, logger, disconnect } = this.#tools;
    this.#patience?.cancel();
    this.#patience = clock.schedule(sendTimeoutMs, () => {
      logger.warn(
        { peer: this.peer, client: this.session.node?.id, timeoutMs: sendTimeoutMs },
        'a client that reads nothing was cut off',
      );
      this.end(`nothing was read for ${sendTimeoutMs} ms`);
      disconnect(this.peer);
    });
    return false;
  }

  #siblings(): readonly Sibling[] {
    const place = this.#place;
    return place === undefined ? ALONE : this.#tools.siblings.of(place.client, place.self);
  }

  #wakeSiblings(): void {
    for (const { session, turn } of this.#siblings()) if (session.isHeldBack) this.#tools.queue.add(turn);
  }

  #takePlace(id: string, only: ServedType): void {
    this.#leavePlace();
    const self = { session: this.session, turn: this, peer: this.peer, only };
    const client = `${id}\0${this.spiffeId ?? ''}`;
    this.#place = { client, self };
    this.#tools.siblings.join(client, self);
  }

  #leavePlace(): void {
    if (this.#place === undefined) return;
    this.#tools.siblings.leave(this.#place.client, this.#place.self);
    this.#place = undefined;
  }

  #attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#finish();
    this.#tools.logger.warn({ peer: this.peer, error: messageOf(error) }, 'an xDS stream was ended');
    this.#call.emit('error', failureOf(error));
  }

  #finish(): void {
    this.#patience?.cancel();
    if (!this.#tools.connected.delete(this)) return;
    this.#tools.queue.remove(this);
    this.session.close();
    this.#lease?.lease.end();
    this.#lease = undefined;
    // What waited for its client's answers on this stream waits no more.
    this.#wakeSiblings();
    this.#leavePlace();
    this.#tools.onProgress();
  }
}

/** A live registration is taken over by the same identity only. */
function checkHolder(owner: string, { spiffeId }: Connected, connected: Iterable<Connected>): void {
  for (const other of connected) {
    if (other.owner !== owner || other.spiffeId === spiffeId) continue;
    throw new MeshError('INMESH_CA_REFUSED', `${owner} is registered by another identity`, {
      hint: 'Give every workload an id of its own',
    });
  }
}

function conversationOf(protocol: ProtocolName, tables: SharedTables): Conversation {
  return protocol === 'delta' ? new DeltaConversation(tables) : new SotwConversation(tables);
}

/** The gRPC status of an error. */
export function failureOf(error: unknown): { readonly code: number; readonly details: string } {
  return { code: codeFor(error), details: messageOf(error) };
}

function codeFor(error: unknown): number {
  if (!MeshError.is(error)) return STATUS_INTERNAL;
  return error.code === 'INMESH_CA_REFUSED' ? STATUS_PERMISSION_DENIED : STATUS_INVALID_ARGUMENT;
}

/** The client of a stream, for status pages; undefined before it named itself. */
export function clientStatus({
  session,
  peer,
  spiffeId,
  connectedAtMs,
}: Connected): ClientStatus | undefined {
  const { node } = session;
  if (node === undefined) return undefined;
  const { LABELS, NAMESPACE, INMESH_VERSION } = node.metadata;
  return {
    id: node.id,
    service: LABELS['app'] ?? node.cluster,
    namespace: NAMESPACE,
    version: INMESH_VERSION ?? LABELS['version'] ?? '',
    peer,
    spiffeId,
    connectedAtMs,
    applied: session.applied,
    ...session.status(),
  };
}
