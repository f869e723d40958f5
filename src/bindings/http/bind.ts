import type { ListenOptions, Server } from 'node:net';
import { codeOf, MeshError } from '../../runtime/errors.js';

/** Where a server shall listen. */
export interface BindTarget {
  readonly host: string;
  readonly port: number;
  readonly backlog?: number | undefined;
  readonly exclusive?: boolean | undefined;
}

/**
 * Makes a server listen, and tells where it does.
 * @throws MeshError `INMESH_PORT_IN_USE` or `INMESH_LISTEN_FAILED`.
 */
export function bindServer(
  server: Server,
  { host, port, backlog, exclusive }: BindTarget,
): Promise<{ address: string; port: number }> {
  return new Promise((resolve, reject) => {
    const failed = (cause: Error) => reject(listenError(cause, host, port));
    server.once('error', failed);
    const options: ListenOptions = {
      host,
      port,
      ...(backlog !== undefined && { backlog }),
      ...(exclusive !== undefined && { exclusive }),
    };
    server.listen(options, () => {
      server.off('error', failed);
      const address = server.address();
      // A server that listens on host and port has an address of this form.
      resolve(typeof address === 'object' && address !== null ? address : { address: host, port });
    });
  });
}

function listenError(cause: Error, host: string, port: number): MeshError {
  const resource = `${host}:${port}`;
  if (codeOf(cause) === 'EADDRINUSE') {
    return new MeshError('INMESH_PORT_IN_USE', `port ${port} is in use`, {
      resource,
      cause,
      hint: 'Stop the other program, or listen on port 0 for any free one: callers find it through the mesh',
    });
  }
  return new MeshError('INMESH_LISTEN_FAILED', `the server could not listen: ${cause.message}`, {
    resource,
    cause,
    hint: 'Check the address and the permission to use the port',
  });
}
