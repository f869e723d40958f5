import type { Server } from 'node:http';
import type { ListenOptions } from 'node:net';
import { inboundPolicyOf } from '../../mesh/inbound-policy.js';
import type { RunningMesh, ServedPort } from '../../mesh/mesh.js';
import { createSignal } from '../../runtime/signal.js';
import { bindServer } from './bind.js';
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

/**
 * Attaches the mesh to a server, listens, and announces the port. The policy of its inbound listener holds from the
 * first connection on: until the control plane has sent it, only mTLS is let in.
 */
export async function listenInMesh(
  server: Server,
  target: ListenTarget,
  mesh: RunningMesh,
): Promise<MeshListener> {
  const { clock, random, identity, observer } = mesh;
  const policy = createSignal(inboundPolicyOf(undefined, mesh));
  const attachment = attachInbound(server, {
    policy,
    identity,
    clock,
    random,
    logger: mesh.logger,
    observer,
    peers: mesh.peers,
    scope: mesh.scope,
  });
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
  const served: ServedPort = { address: mesh.address, port: bound.port, portName: target.portName ?? '' };
  let current = mesh.inbound(served);
  policy.set(inboundPolicyOf(current, mesh));
  const unsubscribe = mesh.onApplied(() => {
    const next = mesh.inbound(served);
    if (next === current) return;
    current = next;
    policy.set(inboundPolicyOf(next, mesh));
  });
  await mesh.announce(served);
  let closing: Promise<void> | undefined;
  const close = async () => {
    await mesh.withdraw(served);
    const stopped = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    await attachment.close();
    server.closeIdleConnections();
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
