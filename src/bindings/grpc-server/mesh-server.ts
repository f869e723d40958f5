import { Server, type ServerOptions } from '@grpc/grpc-js';
import type { Mesh } from '../join.js';
import { servingOf } from '../serving.js';
import { joinServer } from './member.js';

/** A server of gRPC in the mesh: grpc-js's own options, and ours. */
export interface MeshServerOptions extends ServerOptions {
  /** Name of the service's port that this server implements, when the service has several. */
  readonly portName?: string;
  /** How long `mesh.close()` waits for running calls before it cuts them, in milliseconds. Default 10 000. */
  readonly drainTimeoutMs?: number;
  /** A server that was made already, and is not bound yet, instead of a new one. */
  readonly server?: Server;
}

/** Calls of one connection at once (Envoy's default since 1.36). */
const MAX_CONCURRENT_STREAMS = 1024;

/**
 * A server of grpc-js that is a member of the mesh: each port that it is bound to takes mTLS (and, in PERMISSIVE, plaintext),
 * runs calls through the filters of its inbound listener, and is registered with the control plane while this process
 * lives. Everything else is grpc-js's: addresses, services, interceptors, health, reflection, channelz.
 *
 * `bindAsync` calls back when the port is bound, registered and has its policy. Its credentials are those of
 * `ServerCredentials.createInsecure()` or `meshServerCredentials(mesh)`, which here mean the same.
 * @throws MeshError `INMESH_OPTION_INVALID` or `INMESH_UNSUPPORTED`.
 */
export function meshServer(mesh: Mesh, options: MeshServerOptions = {}): Server {
  const serving = servingOf(mesh);
  const { portName, drainTimeoutMs, server: given, ...own } = options;
  const server = given ?? new Server({ 'grpc.max_concurrent_streams': MAX_CONCURRENT_STREAMS, ...own });
  joinServer(server, serving, { portName, drainTimeoutMs });
  return server;
}
