import { isIP, connect as netConnect } from 'node:net';
import { addAbortSignal } from 'node:stream';
import { type TcpCore, tcpOrigin } from '../../mesh/tcp/core.js';
import { refuseConnection } from '../../mesh/tcp/errors.js';
import type { ClientHello, TcpListener } from '../../mesh/tcp/listener.js';
import type { TcpRoute } from '../../mesh/tcp/route.js';
import { connectionRequest, TcpSession } from '../../mesh/tcp/session.js';
import type { Timer } from '../../runtime/clock.js';
import { MeshError } from '../../runtime/errors.js';
import type { RawConnection } from '../../service/connection.js';
import type { ConnectionLogger } from '../../service/exchange-logger.js';
import type { Request } from '../../service/service.js';
import { connectionInfo } from '../http/connection-info.js';
import type { Tunnels } from '../tunnels.js';
import { inspectClientHello } from './client-hello.js';
import { MeshSocket } from './mesh-socket.js';

/** How a connection is made. */
export interface ConnectOptions {
  /** Destroys the connection when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** False (as in `net.connect`): when the other side ends, so does this one. */
  readonly allowHalfOpen?: boolean | undefined;
  /** Envoy filter state by key: what hash policies and original-destination clusters read. */
  readonly filterState?: Readonly<Record<string, string>> | undefined;
}

export interface ConnectTools {
  readonly mesh: TcpCore;
  /** Cut when the mesh closes. */
  readonly tunnels: Tunnels;
}

/** Connects to a host and port through the mesh; what the mesh does not know is connected to as it is. */
export function connectThroughMesh(
  { host, port }: { readonly host: string; readonly port: number },
  options: ConnectOptions,
  tools: ConnectTools,
): MeshSocket {
  if (host === '' || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new MeshError('INMESH_OPTION_INVALID', `${JSON.stringify(host)}:${port} is no host and port`, {
      hint: 'Call mesh.connect(host, port) with a name or an IP address, and a port from 1 to 65535',
    });
  }
  const bare = host.startsWith('[') ? host.slice(1, -1) : host;
  return new OutboundConnection({ host: bare, port }, options, tools).socket;
}

/** One call of `connect`: from the choice of the listener until the connection is closed. */
class OutboundConnection {
  readonly socket: MeshSocket;
  readonly #tools: ConnectTools;
  readonly #host: string;
  readonly #port: number;
  readonly #request: Request;
  readonly #session: TcpSession;
  #log: ConnectionLogger | undefined;
  #early: Buffer[] = [];
  #inspect: ((bytes: Buffer | undefined) => void) | undefined;
  #giveUp: (() => void) | undefined;
  #life: Timer | undefined;
  /** Whether the mesh has a say in it at all. */
  #isMeshed = false;

  constructor(
    { host, port }: { readonly host: string; readonly port: number },
    { signal, allowHalfOpen = false, filterState }: ConnectOptions,
    tools: ConnectTools,
  ) {
    const { clock, random } = tools.mesh;
    this.#host = host;
    this.#port = port;
    this.#tools = tools;
    this.#log = tools.mesh.ownConnectionLog;
    const ip = isIP(host) === 0 ? undefined : host;
    this.#request = connectionRequest({ host, port, ip }, clock.now(), random(), filterState);
    const socket = new MeshSocket(
      { allowHalfOpen, clock },
      { early: (bytes) => this.#writtenEarly(bytes), closed: (error) => this.#closed(error) },
    );
    this.socket = socket;
    const bytes = {
      get received() {
        return socket.bytesWritten;
      },
      get sent() {
        return socket.bytesRead;
      },
    };
    this.#session = new TcpSession(this.#request.context, bytes, tools.mesh);
    tools.tunnels.add(socket);
    if (signal !== undefined) addAbortSignal(signal, socket);
    // Whoever calls listens afterwards.
    process.nextTick(() => this.#begin());
  }

  #begin(): void {
    const { mesh } = this.#tools;
    if (this.socket.destroyed) return;
    let listener: ReturnType<TcpCore['tcpListener']>;
    try {
      listener = mesh.tcpListener(this.#host, this.#port);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (listener === 'unknown') {
      mesh.whenConfigured(tcpOrigin(this.#host)).then(
        () => this.#begin(),
        (error: unknown) => this.#fail(error),
      );
    } else if (listener === 'blocked') this.#block();
    else if (listener === undefined) this.#passThrough();
    else this.#listen(listener);
  }

  /** Istio REGISTRY_ONLY: such connections go to a cluster without hosts. */
  #block(): void {
    const { context, authority } = this.#request;
    this.#isMeshed = true;
    context.clusterName = 'BlackHoleCluster';
    this.#fail(
      refuseConnection(context, authority, {
        code: 'INMESH_NO_ROUTE',
        flag: 'UH',
        what: 'the destination is not in the registry, and nothing else may be called',
        hint: 'Declare it by a ServiceEntry, or set outboundTrafficPolicy to ALLOW_ANY',
      }),
    );
  }

  #passThrough(): void {
    const upstream = netConnect({ host: this.#host, port: this.#port });
    const failed = (error: Error) => this.#fail(error);
    this.#giveUp = () => upstream.destroy();
    upstream.once('error', failed);
    upstream.once('connect', () => {
      upstream.off('error', failed);
      this.#giveUp = undefined;
      this.socket.attach(upstream, 0);
    });
  }

  #listen(listener: TcpListener): void {
    this.#isMeshed = true;
    const { inspection } = listener;
    if (inspection === undefined) {
      this.#route(listener, undefined);
      return;
    }
    const { clock } = this.#tools.mesh;
    const finish = (hello: ClientHello | undefined) => {
      timer?.cancel();
      this.#inspect = undefined;
      this.#giveUp = undefined;
      this.#route(listener, hello);
    };
    const timer =
      inspection.timeoutMs === 0
        ? undefined
        : clock.schedule(inspection.timeoutMs, () => {
            // Envoy: a connection that says nothing in time is closed, unless the listener says otherwise.
            if (inspection.continuesOnTimeout) finish(undefined);
            else this.socket.closeInOrder();
          });
    this.#giveUp = () => timer?.cancel();
    this.#inspect = (bytes) => {
      if (bytes !== undefined) this.#early.push(bytes);
      if (this.#early.length === 0) return;
      const found = inspectClientHello(Buffer.concat(this.#early));
      if (found === 'more') return;
      finish(found === 'not-tls' ? undefined : found);
    };
    // As with a proxy, the connection stands before the proxy knows where it leads.
    this.socket.announce();
    this.#inspect(undefined);
    if (this.#inspect !== undefined) this.socket.takeMore();
  }

  /** What is written before the connection stands is looked at where that is asked for. */
  #writtenEarly(bytes: Buffer): boolean {
    if (this.#inspect !== undefined) this.#inspect(bytes);
    else if (!this.#isMeshed) this.#early.push(bytes);
    // Only who inspects wants more than one piece.
    return this.#inspect !== undefined;
  }

  #route(listener: TcpListener, hello: ClientHello | undefined): void {
    const route = listener.route(this.#request, hello);
    this.#early = [];
    if (route instanceof MeshError) {
      this.#fail(route);
      return;
    }
    this.#log = route.log;
    this.#giveUp = route.connect(this.#request, (error, upstream) => {
      this.#giveUp = undefined;
      if (upstream === undefined) this.#fail(error);
      else this.#connected(upstream, route);
    });
  }

  #connected(upstream: RawConnection, route: TcpRoute): void {
    const { context } = this.#request;
    const host = context.upstream;
    if (host !== undefined) {
      const { local, tls } = connectionInfo(upstream);
      const { address, hostname, metadata } = host;
      context.upstream = { address, hostname, metadata, local, tls };
    }
    this.#session.open();
    const lifeMs = route.lifeMs();
    if (lifeMs !== undefined) {
      this.#life = this.#tools.mesh.clock.schedule(lifeMs, () => {
        context.flags.push('DT');
        this.socket.closeInOrder();
      });
    }
    this.socket.attach(upstream, route.idleTimeoutMs);
  }

  #fail(error: unknown): void {
    this.socket.destroy(error instanceof Error ? error : new Error(String(error)));
  }

  #closed(error: Error | null): void {
    this.#life?.cancel();
    this.#giveUp?.();
    this.#giveUp = undefined;
    if (this.#isMeshed) this.#session.close(error ?? undefined, this.#log);
  }
}
