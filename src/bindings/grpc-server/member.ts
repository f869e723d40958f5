import type { Http2Server } from 'node:http2';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import { MeshError } from '../../runtime/errors.js';
import type { Serving } from '../serving.js';
import { isMeshCredentials } from './credentials.js';
import { LoadService } from './load-service.js';
import { MeshPort } from './mesh-port.js';

/** How a server of gRPC is a member of the mesh. */
export interface MemberOptions {
  /** Name of the service's port that this server implements, when the service has several. */
  readonly portName?: string | undefined;
  /** How long `mesh.close()` waits for running calls, in milliseconds. Default 10 000. */
  readonly drainTimeoutMs?: number | undefined;
}

type BindCallback = (error: Error | null, port: number) => void;
type CreateHttp2Server = (credentials: ServerCredentials) => Http2Server;

const DEFAULT_DRAIN_TIMEOUT_MS = 10_000;
/** What grpc-js makes its servers of HTTP/2 with; it has no public name, and is the same since 1.10. */
const CREATE = 'createHttp2Server';

const members = new WeakSet<Server>();

/**
 * Makes a server a member of the mesh, before it is bound. grpc-js binds, unbinds, counts for channelz and shuts down as
 * ever: the mesh stands between its HTTP/2 servers and the network.
 * @throws MeshError `INMESH_UNSUPPORTED` for what is no server of grpc-js that we know.
 */
export function joinServer(server: Server, serving: Serving, options: MemberOptions): void {
  const create: unknown = Reflect.get(server, CREATE);
  if (typeof create !== 'function') {
    throw new MeshError(
      'INMESH_UNSUPPORTED',
      'this is no server of a version of @grpc/grpc-js that is known',
      {
        hint: 'Use @grpc/grpc-js 1.14',
      },
    );
  }
  if (members.has(server)) {
    throw new MeshError('INMESH_OPTION_INVALID', 'this server is in a mesh already');
  }
  members.add(server);
  new Member(server, serving, options).takeOver(create as CreateHttp2Server);
}

class Member {
  readonly #server: Server;
  readonly #serving: Serving;
  readonly #options: MemberOptions;
  readonly #before: Pick<Server, 'bindAsync' | 'unbind' | 'tryShutdown' | 'forceShutdown'>;
  /** Ports by the credentials that they are bound with. */
  readonly #binding = new WeakMap<ServerCredentials, MeshPort>();
  readonly #ports = new Map<number, MeshPort>();
  readonly #loadService: LoadService;
  #isLeaving = false;
  #closing: Promise<void> | undefined;

  constructor(server: Server, serving: Serving, options: MemberOptions) {
    this.#server = server;
    this.#serving = serving;
    this.#options = options;
    this.#loadService = new LoadService(server, serving.loads);
    this.#before = {
      bindAsync: server.bindAsync.bind(server),
      unbind: server.unbind.bind(server),
      tryShutdown: server.tryShutdown.bind(server),
      forceShutdown: server.forceShutdown.bind(server),
    };
  }

  takeOver(create: CreateHttp2Server): void {
    const server = this.#server;
    Reflect.set(server, CREATE, (credentials: ServerCredentials) => {
      const port = this.#binding.get(credentials);
      if (port === undefined) throw unsupported('connections can not be injected into a server of the mesh');
      const http2Server = create.call(server, credentials);
      port.hold(http2Server);
      return http2Server;
    });
    server.bindAsync = (address, credentials, callback) => this.#bind(address, credentials, callback);
    server.unbind = (address) => {
      this.#before.unbind(address);
      const number = portOf(address);
      const port = this.#ports.get(number);
      if (port?.hasServers !== false) return;
      this.#ports.delete(number);
      port.leave().catch(ignore);
      port.stop();
    };
    server.tryShutdown = (callback) => void this.#tryShutdown(callback);
    server.forceShutdown = () => this.#forceShutdown();
    const remove = this.#serving.add({ close: () => this.#close() });
    this.#forget = remove;
  }

  #forget: () => void = ignore;

  #bind(address: string, credentials: ServerCredentials, callback: BindCallback): void {
    if (this.#isLeaving) throw new Error('bindAsync called after shutdown');
    const refusal = typeof address === 'string' ? refusalOf(address, credentials) : undefined;
    if (refusal !== undefined) {
      process.nextTick(callback, refusal, 0);
      return;
    }
    const own = ownCredentials(credentials);
    // Another address of a port that there is shares its policy, and its place in the registry.
    const asked = portOf(address);
    const known = asked === 0 ? undefined : this.#ports.get(asked);
    const port = known ?? new MeshPort(this.#serving, () => this.#loadService.serve());
    if (own !== undefined) this.#binding.set(own, port);
    if (asked !== 0) this.#ports.set(asked, port);
    // What is wrong with the arguments is grpc-js's to say.
    this.#before.bindAsync(address, own ?? credentials, (error, number) => {
      if (error === null) {
        this.#ports.set(number, port);
        void this.#join(port, number, callback);
        return;
      }
      if (known === undefined) {
        port.stop();
        this.#ports.delete(asked);
      }
      callback(error, number);
    });
  }

  async #join(port: MeshPort, number: number, callback: BindCallback): Promise<void> {
    let failure: Error | null = null;
    try {
      await port.join(number, this.#options.portName ?? '');
    } catch (cause) {
      failure = cause instanceof Error ? cause : new Error(String(cause));
      port.stop();
    }
    callback(failure, failure === null ? number : 0);
  }

  /** Out of the registry first, then the calls finish, then the server is closed. */
  async #tryShutdown(callback: (error?: Error) => void): Promise<void> {
    await this.#leave();
    await this.#drain();
    this.#forget();
    this.#before.tryShutdown(callback);
  }

  #forceShutdown(): void {
    this.#forget();
    this.#leave().catch(ignore);
    for (const port of this.#ports.values()) port.stop();
    this.#before.forceShutdown();
  }

  #close(): Promise<void> {
    this.#closing ??= this.#closeInTime();
    return this.#closing;
  }

  async #closeInTime(): Promise<void> {
    await this.#leave();
    const { clock } = this.#serving.mesh;
    const { drainTimeoutMs = DEFAULT_DRAIN_TIMEOUT_MS } = this.#options;
    // Calls that are still running then are cut; so are their connections.
    const timer = clock.schedule(drainTimeoutMs, this.#before.forceShutdown, true);
    await this.#drain();
    timer.cancel();
    await new Promise<void>((resolve) => {
      this.#before.tryShutdown(() => resolve());
    });
  }

  async #leave(): Promise<void> {
    this.#isLeaving = true;
    await Promise.all([...this.#ports.values()].map((port) => port.leave()));
  }

  async #drain(): Promise<void> {
    this.#loadService.close();
    await Promise.all([...this.#ports.values()].map((port) => port.drain()));
  }
}

/** Why a port can't be one of the mesh; undefined = it can. */
function refusalOf(address: string, credentials: ServerCredentials | null): MeshError | undefined {
  if (/^unix(-abstract)?:/.test(address)) {
    return unsupported(`${address} can not be a port of the mesh: a socket file is reached by nobody else`);
  }
  if (credentials === null || typeof credentials?._isSecure !== 'function') return undefined;
  if (!credentials._isSecure() || isMeshCredentials(credentials)) return undefined;
  return unsupported(
    'the mesh has certificates of its own, which it rotates: these credentials would hide them',
  );
}

/** Credentials that stand for one port; undefined for what are none. */
function ownCredentials(credentials: ServerCredentials | null): ServerCredentials | undefined {
  if (credentials === null || typeof credentials?._isSecure !== 'function') return undefined;
  // What another copy of grpc-js made, this one would not know.
  const plain =
    isMeshCredentials(credentials) || !(credentials instanceof ServerCredentials)
      ? ServerCredentials.createInsecure()
      : credentials;
  // Interceptors that came with the credentials stay.
  return Object.create(plain) as ServerCredentials;
}

/** The last part of an address is its port; 0 where it names none. */
function portOf(address: string): number {
  return Number(/:(\d+)$/.exec(address)?.[1] ?? 0);
}

function unsupported(what: string): MeshError {
  return new MeshError('INMESH_UNSUPPORTED', what, {
    hint: 'Bind with ServerCredentials.createInsecure() or meshServerCredentials(mesh); for anything else use a server of your own',
  });
}

function ignore(): void {}
