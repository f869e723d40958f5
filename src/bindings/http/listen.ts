import { Server as HttpServer } from 'node:http';
import { type ListenOptions, Server } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import type { InboundPolicy } from '../../mesh/inbound.js';
import { inboundPolicyOf } from '../../mesh/inbound-policy.js';
import type { RunningMesh } from '../../mesh/mesh.js';
import type { ServedPort } from '../../mesh/served-ports.js';
import { tcpInboundPolicyOf } from '../../mesh/tcp/inbound.js';
import type { InboundListener } from '../../model/listener.js';
import { createSignal, type Signal } from '../../runtime/signal.js';
import { attachTcp } from '../tcp/server.js';
import { bindServer } from './bind.js';
import type { LoadReports } from './load/load-reports.js';
import { attachInbound } from './server.js';

/** Where a meshed server listens, and which port of its service it is. */
export interface ListenTarget extends Pick<ListenOptions, 'host' | 'port' | 'backlog' | 'exclusive'> {
  /** Name of the service's port that this server implements, when the service has several. */
  readonly portName?: string;
}

/** A server that listens in the mesh. */
export interface MeshListener {
  readonly bound: { readonly address: string; readonly port: number };
  /** Deregisters, lets running exchanges finish, stops listening. Idempotent. */
  close(): Promise<void>;
}

/** What the mesh does with one kind of server. */
interface Attaching {
  /** What the server speaks, as it is announced. */
  readonly announced: Pick<ServedPort, 'protocol'>;
  policyOf(listener: InboundListener | undefined): InboundPolicy;
  attach(policy: Signal<InboundPolicy>): Attached;
}

interface Attached {
  detach(): void;
  /** Lets what runs finish, and closes the connections. */
  close(): Promise<void> | void;
}

/**
 * Attaches the mesh to a server, listens, and announces the port. The policy of its inbound listener holds from the
 * first connection on: until the control plane has sent it, only mTLS is let in.
 */
export async function listenInMesh(
  server: Server,
  target: ListenTarget,
  mesh: RunningMesh,
  loads?: LoadReports,
): Promise<MeshListener> {
  const kind = isRawServer(server) ? rawServer(server, mesh) : httpServer(server, mesh, loads);
  const policy = createSignal(kind.policyOf(undefined));
  const attachment = kind.attach(policy);
  let bound: { address: string; port: number };
  try {
    bound = await bindServer(server, {
      ...target,
      host: target.host ?? mesh.address,
      port: target.port ?? 0,
    });
  } catch (error) {
    attachment.detach();
    throw error;
  }
  const served: ServedPort = {
    address: mesh.address,
    port: bound.port,
    portName: target.portName ?? '',
    ...kind.announced,
  };
  let current = mesh.inbound(served);
  policy.set(kind.policyOf(current));
  const unsubscribe = mesh.onApplied(() => {
    const next = mesh.inbound(served);
    if (next === current) return;
    current = next;
    policy.set(kind.policyOf(next));
  });
  await mesh.announce(served);
  let closing: Promise<void> | undefined;
  const close = async () => {
    await mesh.withdraw(served);
    await acceptWaiting();
    const stopped = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    await attachment.close();
    if (server instanceof HttpServer) server.closeIdleConnections();
    await stopped;
    unsubscribe();
  };
  return {
    bound,
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/**
 * Connections that wait to be accepted are reset when a server stops listening: those that are there now are accepted
 * first, within one whole turn of the event loop.
 */
async function acceptWaiting(): Promise<void> {
  for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => setImmediate(resolve));
}

/** A server of node:net whose bytes are its own affair: TLS that it ends itself is, too. */
function isRawServer(server: Server): boolean {
  if (server instanceof TlsServer) return true;
  // Node gives the class of plaintext HTTP/2 servers to nobody; this method is theirs alone.
  const isHttp2 = 'updateSettings' in server;
  return server instanceof Server && !(server instanceof HttpServer || isHttp2);
}

function rawServer(server: Server, mesh: RunningMesh): Attaching {
  const { clock, random, identity, secrets, observer, logger } = mesh;
  return {
    announced: { protocol: 'tcp' },
    policyOf: (listener) => tcpInboundPolicyOf(listener, mesh),
    attach: (policy) =>
      attachTcp(server, {
        policy,
        identity,
        secrets,
        clock,
        random,
        logger,
        observer,
        callers: mesh.plaintextCallers,
      }),
  };
}

function httpServer(server: Server, mesh: RunningMesh, loads: LoadReports | undefined): Attaching {
  const { clock, random, identity, secrets, observer, logger, peers, scope } = mesh;
  return {
    announced: {},
    policyOf: (listener) => inboundPolicyOf(listener, mesh),
    // What it is not is refused there.
    attach: (policy) =>
      attachInbound(server as HttpServer, {
        policy,
        identity,
        secrets,
        clock,
        random,
        logger,
        observer,
        peers,
        scope,
        loads,
        callers: mesh.plaintextCallers,
      }),
  };
}
