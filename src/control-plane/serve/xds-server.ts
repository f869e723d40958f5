import type { handleBidiStreamingCall, ServerDuplexStream, ServiceDefinition } from '@grpc/grpc-js';
import type { Node } from '../../model/node.js';
import type { Clock } from '../../runtime/clock.js';
import { debounce } from '../../runtime/debounce.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import { workloadsOfNode } from '../registry/node-workloads.js';
import type { Lease, WorkloadRegistry } from '../registry/registry.js';
import type { CallerIdentity } from './caller.js';
import type { Outgoing } from './channel.js';
import { ClientSession, type PublishedState } from './client-session.js';
import { type Conversation, DeltaConversation, type SharedTables, SotwConversation } from './conversation.js';
import { InterestTable } from './interest.js';
import { NameListTable } from './name-list.js';
import { createPushQueue, type Pushed, type PushQueue } from './push-queue.js';
import { ResourceEncoder } from './resources.js';
import { createSettling } from './settling.js';
import type { ClientStatus } from './status.js';
import { SnapshotTable } from './type-snapshot.js';

const STATUS_INVALID_ARGUMENT = 3;
const STATUS_PERMISSION_DENIED = 7;
const STATUS_INTERNAL = 13;
const STATUS_UNAVAILABLE = 14;

export interface XdsServerOptions {
  /** The newest configuration. */
  readonly state: () => PublishedState;
  readonly registry: WorkloadRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Istio's PILOT_DEBOUNCE_AFTER and PILOT_DEBOUNCE_MAX, in milliseconds. Default 100 and 10 000. */
  readonly debounceMs?: { readonly quietMs: number; readonly maxMs: number };
  /** How long clients that had configuration before this process started keep it. Default 1 s of quiet, at most 5 s. */
  readonly settleMs?: { readonly quietMs: number; readonly maxMs: number };
  /** The SPIFFE ID that the connection of a call proved. */
  readonly callerOf: (peer: string) => CallerIdentity | undefined;
}

type Stream = ServerDuplexStream<Buffer, Buffer>;
type StreamHandler = handleBidiStreamingCall<Buffer, Buffer>;

/** Serves ADS, state of the world and delta. */
export interface XdsServer {
  readonly definition: ServiceDefinition;
  readonly implementation: {
    readonly StreamAggregatedResources: StreamHandler;
    readonly DeltaAggregatedResources: StreamHandler;
  };
  /** Something that clients receive may have changed: each is sent what differs, after the debounce. */
  changed(): void;
  clients(): readonly ClientStatus[];
  /** Ends every stream. */
  close(): void;
}

interface Connected {
  readonly session: ClientSession;
  readonly turn: Pushed;
  readonly peer: string;
  readonly spiffeId: string | undefined;
  readonly connectedAtMs: number;
  readonly end: () => void;
}

const identity = (bytes: Buffer) => bytes;

/** Bytes pass through gRPC as they are: each resource is encoded once, and requests are decoded when they are read. */
function streamOf(path: string) {
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService';

const DEFINITION: ServiceDefinition = {
  StreamAggregatedResources: streamOf(`${ADS}/StreamAggregatedResources`),
  DeltaAggregatedResources: streamOf(`${ADS}/DeltaAggregatedResources`),
};

export function createXdsServer(options: XdsServerOptions): XdsServer {
  const { clock, registry, debounceMs = { quietMs: 100, maxMs: 10_000 } } = options;
  const connected = new Set<Connected>();
  const tables: SharedTables = {
    snapshots: new SnapshotTable(new ResourceEncoder()),
    interests: new InterestTable(),
    nameLists: new NameListTable(),
  };
  const settling = createSettling(options.settleMs ?? { quietMs: 1_000, maxMs: 5_000 }, clock);
  const queue = createPushQueue();
  let published = options.state();
  const publish = () => {
    published = options.state();
    for (const { turn } of connected) queue.add(turn);
  };
  const push = debounce(publish, debounceMs, clock);
  const unsubscribe = registry.current.subscribe(() => settling.touch());
  settling.settled.subscribe(publish);
  const shared = {
    options,
    connected,
    tables,
    queue,
    state: () => published,
    holdsBack: () => !settling.settled.value,
  };
  return {
    definition: DEFINITION,
    implementation: {
      StreamAggregatedResources: (call) => serveStream(call, new SotwConversation(tables), shared),
      DeltaAggregatedResources: (call) => serveStream(call, new DeltaConversation(tables), shared),
    },
    changed: () => push.call(),
    clients: () => [...connected].flatMap(describe),
    close() {
      unsubscribe();
      push.cancel();
      settling.close();
      queue.close();
      for (const { end } of connected) end();
    },
  };
}

interface StreamTools {
  readonly options: XdsServerOptions;
  readonly connected: Set<Connected>;
  readonly tables: SharedTables;
  readonly queue: PushQueue;
  readonly state: () => PublishedState;
  readonly holdsBack: () => boolean;
}

function serveStream(call: Stream, conversation: Conversation, tools: StreamTools): void {
  const { options, connected, tables, queue, state, holdsBack } = tools;
  const { clock, logger, registry } = options;
  const peer = call.getPeer();
  const caller = options.callerOf(peer);
  let lease: { readonly owner: string; readonly lease: Lease } | undefined;
  const session: ClientSession = new ClientSession({
    conversation,
    snapshots: tables.snapshots,
    state,
    caller,
    clock,
    logger,
    holdsBack,
    wake: () => queue.add(turn),
    write: (message) => call.write(joined(message)),
    onNode: (node) => {
      checkIdentity(node, caller);
      const workloads = workloadsOfNode(node);
      if (workloads === undefined) return;
      if (lease?.owner !== node.id) {
        lease?.lease.end();
        lease = { owner: node.id, lease: registry.lease(node.id) };
      }
      lease.lease.update(workloads);
    },
  });
  const finish = () => {
    connected.delete(entry);
    queue.remove(turn);
    session.close();
    lease?.lease.end();
    lease = undefined;
  };
  const fail = (error: unknown) => {
    finish();
    logger.warn({ peer, error: messageOf(error) }, 'an xDS stream was ended');
    refuse(call, grpcStatus(error), messageOf(error));
  };
  const attempt = (act: () => void) => {
    try {
      act();
    } catch (error) {
      fail(error);
    }
  };
  const turn: Pushed = { push: () => attempt(() => session.push()) };
  const entry: Connected = {
    session,
    turn,
    peer,
    spiffeId: caller?.spiffeId,
    connectedAtMs: clock.wallTime(),
    end: () => refuse(call, STATUS_UNAVAILABLE, 'the control plane stops'),
  };
  connected.add(entry);
  call.on('data', (bytes: Buffer) => {
    attempt(() => {
      session.receive(bytes);
      queue.add(turn);
    });
  });
  call.on('drain', () => attempt(() => session.writable()));
  call.on('end', () => {
    finish();
    call.end();
  });
  call.on('cancelled', finish);
  call.on('error', finish);
  call.on('close', finish);
}

function grpcStatus(error: unknown): number {
  if (!MeshError.is(error)) return STATUS_INTERNAL;
  return error.code === 'INMESH_CA_REFUSED' ? STATUS_PERMISSION_DENIED : STATUS_INVALID_ARGUMENT;
}

function joined(message: Outgoing): Buffer {
  return Buffer.concat(message);
}

/** A node may only be what its certificate says; on plaintext (loopback) it is believed. */
function checkIdentity(node: Node, caller: CallerIdentity | undefined): void {
  if (caller === undefined) return;
  const { NAMESPACE, SERVICE_ACCOUNT } = node.metadata;
  if (caller.spiffeId.endsWith(`/ns/${NAMESPACE}/sa/${SERVICE_ACCOUNT}`)) return;
  throw new MeshError(
    'INMESH_CA_REFUSED',
    `the node claims ${NAMESPACE}/${SERVICE_ACCOUNT}, its certificate says otherwise`,
    {
      resource: caller.spiffeId,
      hint: 'Start the workload with the namespace and service account of its certificate',
    },
  );
}

function describe({ session, peer, spiffeId, connectedAtMs }: Connected): ClientStatus[] {
  const { node } = session;
  if (node === undefined) return [];
  const { LABELS, NAMESPACE, INMESH_VERSION } = node.metadata;
  return [
    {
      id: node.id,
      service: LABELS['app'] ?? node.cluster,
      namespace: NAMESPACE,
      version: INMESH_VERSION ?? LABELS['version'] ?? '',
      peer,
      spiffeId,
      connectedAtMs,
      ...session.status(),
    },
  ];
}

function refuse(call: Stream, code: number, details: string): void {
  call.emit('error', { code, details });
}
