import {
  Agent,
  type ClientRequest,
  createServer,
  type IncomingMessage,
  type RequestOptions,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { MeshAgent } from '../../../src/bindings/http-agent/agent.js';
import type { Observer } from '../../../src/service/observer.js';
import {
  cluster,
  createStaticMesh,
  endpoint,
  forward,
  host,
  type StaticMesh,
  snapshotOf,
} from '../support/static-mesh.js';

/** A server, and two ways to it: directly, and by its name in the mesh. */
export interface World {
  readonly server: Server;
  readonly port: number;
  readonly mesh: StaticMesh;
  readonly agent: MeshAgent;
  close(): Promise<void>;
}

export type Handler = (incoming: IncomingMessage, response: ServerResponse) => void;

/** Starts a server that the mesh knows as `app:<port>`, so that both ways have the same URL but for the host. */
export async function startWorld(handler: Handler, observer: Observer = {}): Promise<World> {
  const server = createServer(handler);
  await listen(server);
  const port = portOf(server);
  const closed = await closedPort();
  const mesh = createStaticMesh(
    snapshotOf(
      [host(`app:${port}`, [forward('app')]), host(`gone:${port}`, [forward('gone')])],
      [cluster('app', [endpoint(port)]), cluster('gone', [endpoint(closed)])],
    ),
    observer,
  );
  const agent = new MeshAgent(mesh);
  return {
    server,
    port,
    mesh,
    agent,
    async close() {
      agent.destroy();
      await mesh.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function listen(server: Server | TcpServer): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}

/** The port of a server that listens on one. */
export function portOf(server: Server | TcpServer): number {
  return (server.address() as AddressInfo).port;
}

export async function closedPort(): Promise<number> {
  const server = createTcpServer();
  await listen(server);
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Both ways to the same server: what a client sees must not differ. */
export interface Way {
  readonly name: string;
  readonly host: string;
  readonly agent: Agent;
}

export function waysTo(world: World): readonly [direct: Way, mesh: Way] {
  return [
    { name: 'direct', host: '127.0.0.1', agent: new Agent({ keepAlive: true }) },
    { name: 'mesh', host: 'app', agent: world.agent },
  ];
}

/** Sends a request and collects its response. */
export function send(
  options: RequestOptions,
  write: (request: ClientRequest) => void = (one) => one.end(),
): Promise<{ response: IncomingMessage; body: Buffer; request: ClientRequest }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ response, body: Buffer.concat(chunks), request: outgoing }));
    });
    outgoing.on('error', reject);
    write(outgoing);
  });
}
