import { type AgentOptions, type ClientRequest, type ClientRequestArgs, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type AgentOptions as HttpsAgentOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import type { MeshCore, OutboundTarget } from '../../mesh/core.js';
import { AgentConnection } from './connection.js';
import { AgentSocket } from './socket.js';

/** How an agent for `http:` is made: what http.Agent takes, and where requests outside the mesh go. */
export interface MeshAgentOptions extends AgentOptions {
  /** Takes requests to hosts that are not the mesh's. By default an http.Agent of its own with the same options. */
  readonly outside?: HttpAgent;
}

/** How an agent for `https:` is made: what https.Agent takes, and where requests outside the mesh go. */
export interface MeshHttpsAgentOptions extends HttpsAgentOptions {
  /** Takes requests to hosts that are not the mesh's. By default an https.Agent of its own with the same options. */
  readonly outside?: HttpsAgent;
}

/** What ClientRequest calls on its agent; it is no part of the types, but of every agent since Node's beginning. */
interface RequestTaker {
  addRequest(request: ClientRequest, options: ClientRequestArgs): void;
}

/** What an agent calls on a ClientRequest: here is your socket, or why there is none. */
interface SocketTaker {
  onSocket(socket: null, error: Error): void;
}

/**
 * An http.Agent through the mesh, for `http.request` and every library on it: axios, got, node-fetch, ws.
 * Each request passes the mesh's whole stack: routes, retries, time limits, mTLS, telemetry. Requests to hosts outside
 * the mesh go out as ever.
 */
export class MeshAgent extends HttpAgent {
  readonly #way: WayOut;

  constructor(mesh: { readonly core: MeshCore }, options: MeshAgentOptions = {}) {
    const { outside, ...own } = options;
    super({ keepAlive: true, ...own });
    this.#way = new WayOut(mesh.core, 'http:', outside ?? new HttpAgent(own), outside === undefined);
  }

  addRequest(request: ClientRequest, options: ClientRequestArgs): void {
    this.#way.take(request, options, () => superTake(HttpAgent, this, request, options));
  }

  override createConnection(
    options: ClientRequestArgs,
    connected?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | undefined {
    return this.#way.connect(options) ?? this.#way.outside.createConnection(options, connected) ?? undefined;
  }

  override destroy(): void {
    super.destroy();
    this.#way.destroy();
  }
}

/**
 * An https.Agent through the mesh: for hosts of the mesh its configuration says how the connection is secured, for all
 * others it is an https.Agent as ever.
 */
export class MeshHttpsAgent extends HttpsAgent {
  readonly #way: WayOut;

  constructor(mesh: { readonly core: MeshCore }, options: MeshHttpsAgentOptions = {}) {
    const { outside, ...own } = options;
    super({ keepAlive: true, ...own });
    this.#way = new WayOut(mesh.core, 'https:', outside ?? new HttpsAgent(own), outside === undefined);
  }

  addRequest(request: ClientRequest, options: ClientRequestArgs): void {
    this.#way.take(request, options, () => superTake(HttpsAgent, this, request, options));
  }

  override createConnection(
    options: ClientRequestArgs,
    connected?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | undefined {
    return this.#way.connect(options) ?? this.#way.outside.createConnection(options, connected) ?? undefined;
  }

  override destroy(): void {
    super.destroy();
    this.#way.destroy();
  }
}

function superTake(
  parent: typeof HttpAgent,
  agent: HttpAgent,
  request: ClientRequest,
  options: ClientRequestArgs,
): void {
  (parent.prototype as HttpAgent & RequestTaker).addRequest.call(agent, request, options);
}

/** Tells the mesh's requests from all others, and makes the sockets of the former. */
class WayOut {
  readonly outside: HttpAgent;
  readonly #mesh: MeshCore;
  readonly #protocol: 'http:' | 'https:';
  readonly #ownsOutside: boolean;
  readonly #connections = new WeakMap<object, AgentConnection>();

  constructor(mesh: MeshCore, protocol: 'http:' | 'https:', outside: HttpAgent, ownsOutside: boolean) {
    this.#mesh = mesh;
    this.#protocol = protocol;
    this.outside = outside;
    this.#ownsOutside = ownsOutside;
  }

  /** Hands a request to whichever agent it is for; `take` is the mesh's own. */
  take(request: ClientRequest, options: ClientRequestArgs, take: () => void): void {
    const target = this.#lookup(options);
    if (target === 'unknown') {
      // The mesh has no configuration yet: whether it owns the host is known when the first one came.
      this.#mesh.whenConfigured(this.#origin(options)).then(
        () => this.take(request, options, take),
        (error: Error) => (request as ClientRequest & SocketTaker).onSocket(null, error),
      );
      return;
    }
    if (target === undefined) {
      (this.outside as HttpAgent & RequestTaker).addRequest(request, options);
      return;
    }
    request.once('socket', (socket) => this.#connections.get(socket)?.carries(request));
    take();
  }

  /** A socket to a host of the mesh; undefined for any other. */
  connect(options: ClientRequestArgs): Duplex | undefined {
    const target = this.#lookup(options);
    if (target === undefined || target === 'unknown') return undefined;
    const origin = this.#origin(options);
    const isSecure = this.#protocol === 'https:';
    return new AgentSocket(isSecure, this.#mesh.clock, (socket) => {
      const connection = new AgentConnection(socket, this.#mesh, origin, target);
      this.#connections.set(socket, connection);
      return connection;
    });
  }

  destroy(): void {
    if (this.#ownsOutside) this.outside.destroy();
  }

  #lookup(options: ClientRequestArgs): OutboundTarget | 'unknown' | undefined {
    // A Unix socket is no host.
    return options.socketPath ? undefined : this.#mesh.lookup(this.#origin(options));
  }

  #origin({ host, port }: ClientRequestArgs): string {
    const name = host ?? 'localhost';
    const bare = name.includes(':') && !name.startsWith('[') ? `[${name}]` : name;
    // node:http fills the default in; without it a host may have its one port in the mesh, as `http://reviews/`.
    const isDefault = Number(port) === (this.#protocol === 'https:' ? 443 : 80);
    return isDefault || !port ? `${this.#protocol}//${bare}` : `${this.#protocol}//${bare}:${port}`;
  }
}
