import type { Node } from '../../model/node.js';
import type { Clock } from '../../runtime/clock.js';
import { debounce } from '../../runtime/debounce.js';
import type { Logger } from '../../runtime/log.js';
import type { WorkloadRegistry } from '../registry/registry.js';
import { createAdmission, type StreamLimits } from './admission.js';
import { type AppliedReport, type AppliedWaits, createAppliedWaits } from './applied.js';
import type { CallerOf, IncomingCall } from './caller.js';
import { type ClientConfig, clientConfig } from './client-config.js';
import { ClientSession, type PublishedState } from './client-session.js';
import { createClientStatusService } from './client-status-service.js';
import { type ClientSync, clientSync } from './client-sync.js';
import { type SharedTables, SotwConversation } from './conversation.js';
import { earlyPublish } from './early-publish.js';
import { checkIdentity } from './identity-check.js';
import { InterestTable } from './interest.js';
import { type LiveClient, liveClients } from './live-clients.js';
import { LoadReports } from './load-reports.js';
import { createLoadService } from './load-service.js';
import { NameListTable } from './name-list.js';
import { createPushQueue } from './push-queue.js';
import { type ResourceTtlOptions, resourceTtls } from './resource-ttls.js';
import { ResourceEncoder, type ServedType } from './resources.js';
import { createSettling } from './settling.js';
import { SiblingStreams } from './sibling-streams.js';
import type { ClientStatus } from './status.js';
import { SnapshotTable } from './type-snapshot.js';
import { type GrpcService, xdsServices } from './xds-services.js';
import { type Connected, clientStatus, failureOf, type StreamTools, serveStream } from './xds-stream.js';

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
  readonly limits?: StreamLimits;
  /** How many clients may be in the middle of a transfer; Istio's PILOT_PUSH_THROTTLE. Default 100. */
  readonly maxTransfers?: number;
  /** A client that reads nothing for so long is cut off, in milliseconds. Default 30 000. */
  readonly sendTimeoutMs?: number;
  /** How often clients are asked to report their load (LRS), in milliseconds. Default 10 000. */
  readonly loadReportIntervalMs?: number;
  /** Makes resources end for clients that hear nothing for so long. By default they do not. */
  readonly resourceTtl?: ResourceTtlOptions;
  readonly callerOf: CallerOf;
  /** Cuts a connection. */
  readonly disconnect: (peer: string) => void;
}

/** Serves xDS: ADS and the services for one type each, state of the world and delta; client status and load reports. */
export interface XdsServer {
  readonly services: readonly GrpcService[];
  /** What clients report of their load. */
  readonly load: LoadReports;
  /** Something that clients receive may have changed: each is sent what differs, after the debounce. */
  changed(): void;
  clients(): readonly ClientStatus[];
  /** Who is connected, as they say. */
  nodes(): readonly Node[];
  /** What each connected client has accepted. */
  live(): readonly LiveClient[];
  /** What a client was sent: by its id, or a part of it that only one has. */
  configOf(id: string, type: string | undefined): ClientConfig | undefined;
  /** What a client holds against what the newest configuration has for it. */
  syncOf(id: string): ClientSync | undefined;
  /** Waits until every connected client accepted everything that follows from a revision. */
  waitApplied(revision: number, timeoutMs: number): Promise<AppliedReport>;
  /** Ends the streams one after the other over that time, so that clients do not all come to the next server at once. */
  drain(overMs: number): Promise<void>;
  /** Ends every stream. */
  close(): void;
}

const NO_BYTES = Buffer.alloc(0);

export function createXdsServer(options: XdsServerOptions): XdsServer {
  const { clock, registry, logger, callerOf, debounceMs = { quietMs: 100, maxMs: 10_000 } } = options;
  const connected = new Set<Connected>();
  const tables = createTables(logger);
  const settling = createSettling(options.settleMs ?? { quietMs: 1_000, maxMs: 5_000 }, clock);
  const queue = createPushQueue({ maxTransfers: options.maxTransfers ?? 100, clock });
  let published = options.state();
  const waits = waitsFor(connected, clock, () => published.revision);
  const publish = () => {
    published = options.state();
    for (const { turn } of connected) queue.add(turn);
    waits.touch();
  };
  const push = debounce(publish, debounceMs, clock);
  const unsubscribe = registry.current.subscribe(() => settling.touch());
  settling.settled.subscribe(publish);
  const tools: StreamTools = {
    connected,
    siblings: new SiblingStreams(),
    tables,
    queue,
    admission: createAdmission(options.limits ?? {}, clock),
    registry,
    clock,
    logger,
    state: () => published,
    freshen: earlyPublish(push, clock),
    holdsBack: () => !settling.settled.value,
    callerOf,
    ttls: options.resourceTtl && resourceTtls(options.resourceTtl),
    disconnect: options.disconnect,
    sendTimeoutMs: options.sendTimeoutMs ?? 30_000,
    onProgress: () => waits.touch(),
  };
  const reports = new LoadReports();
  return {
    services: [
      ...xdsServices({
        stream: (call, protocol, only) => serveStream(call, protocol, only, tools),
        fetch: (call, only) => answerOnce(call, { only, tools }),
        failure: failureOf,
      }),
      createClientStatusService({ connected: () => connected, callerOf }),
      loadService(options, reports, () => published),
    ],
    load: reports,
    changed: () => push.call(),
    clients: () => [...connected].flatMap((one) => clientStatus(one) ?? []),
    nodes: () => [...connected].flatMap(({ session }) => session.node ?? []),
    live: () => liveClients(connected),
    configOf: (id, type) => clientConfig(connected, id, type),
    syncOf: (id) => clientSync(connected, id, options.state()),
    waitApplied: (revision, timeoutMs) => waits.wait(revision, timeoutMs),
    drain: (overMs) => drain(connected, overMs, clock),
    close() {
      unsubscribe();
      push.cancel();
      settling.close();
      queue.close();
      for (const one of connected) one.end('the control plane stops');
      waits.close();
    },
  };
}

function createTables(logger: Logger): SharedTables {
  const encoder = new ResourceEncoder((type, { name, broken }) =>
    logger.error({ type: type.short, name, error: broken }, 'a resource can not be encoded'),
  );
  return {
    snapshots: new SnapshotTable(encoder),
    interests: new InterestTable(),
    nameLists: new NameListTable(),
  };
}

function loadService(
  { loadReportIntervalMs = 10_000, callerOf, logger }: XdsServerOptions,
  reports: LoadReports,
  published: () => PublishedState,
): GrpcService {
  return createLoadService({
    reports,
    intervalMs: loadReportIntervalMs,
    callerOf,
    clustersFor: (node, caller) => published().resourcesFor(node, caller).clusters.keys(),
    logger,
  });
}

function waitsFor(connected: Set<Connected>, clock: Clock, published: () => number): AppliedWaits {
  return createAppliedWaits({
    clock,
    published,
    clients: () =>
      [...connected].flatMap((one) => {
        const status = clientStatus(one);
        const { owes, heardAtMs } = one.session;
        return status === undefined ? [] : [{ status, owes, heardAtMs }];
      }),
  });
}

/** The unary form of a service: what a stream would send first. */
function answerOnce(
  call: IncomingCall & { readonly request: Buffer },
  { only, tools }: { readonly only: ServedType; readonly tools: StreamTools },
): Buffer {
  const caller = tools.callerOf(call);
  const peer = call.getPeer();
  const written: Buffer[] = [];
  const session = new ClientSession({
    conversation: new SotwConversation(tools.tables),
    snapshots: tools.tables.snapshots,
    only,
    caller,
    state: tools.state,
    clock: tools.clock,
    logger: tools.logger,
    onNode: (node) => checkIdentity(node, caller, peer),
    write: (message) => written.push(Buffer.concat(message)) > 0,
    holdsBack: () => false,
    wake: () => {},
  });
  session.receive(call.request);
  session.push();
  session.close();
  return written[0] ?? NO_BYTES;
}

async function drain(connected: Set<Connected>, overMs: number, clock: Clock): Promise<void> {
  const all = [...connected];
  const ends = all.map(
    (one, index) =>
      new Promise<void>((resolve) => {
        clock.schedule(
          (overMs * index) / all.length,
          () => {
            one.end('the control plane stops');
            resolve();
          },
          true,
        );
      }),
  );
  await Promise.all(ends);
}
