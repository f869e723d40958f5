import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An HTTP server that says its name. */
export interface Backend {
  readonly name: string;
  readonly port: number;
  readonly server: Server;
  requests: number;
  close(): Promise<void>;
}

/** Starts a server on this machine that answers with its name, or as told. */
export async function startBackend(name: string, listener?: RequestListener): Promise<Backend> {
  const server = createServer((request, response) => {
    backend.requests++;
    if (listener === undefined) response.end(name);
    else listener(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const backend: Backend = {
    name,
    server,
    requests: 0,
    // A listening TCP server has an address of this form.
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return backend;
}
