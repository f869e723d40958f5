import { Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { Server as TlsServer } from 'node:tls';
import type { SecretLookup } from '../../cluster/secret-table.js';
import type { IdentitySource } from '../../identity/source.js';
import { createMeshTls, type MeshTls } from '../../identity/tls-options.js';
import type { InboundChain, InboundPolicy } from '../../mesh/inbound.js';
import type { InboundScope } from '../../mesh/inbound-scope.js';
import type { PlaintextCallers } from '../../mesh/plaintext-callers.js';
import type { InboundLimits } from '../../model/inbound-limits.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import type { Clock } from '../../runtime/clock.js';
import { MeshError } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { Random } from '../../runtime/random.js';
import type { Signal } from '../../runtime/signal.js';
import { localReply } from '../../service/local-reply.js';
import type { Observer } from '../../service/observer.js';
import type { Service } from '../../service/service.js';
import type { WorkloadInfo } from '../../service/workload.js';
import { Acceptor } from './acceptor.js';
import { connectionOf, InboundConnection, type InboundPeer } from './connection.js';
import { type ConnectionEnd, chainOf } from './connection-chain.js';
import { connectionInfo } from './connection-info.js';
import { enter } from './door.js';
import { Draining, FIRST_REQUEST_MS } from './draining.js';
import { type ExchangeTools, runRequest, runTunnel } from './exchange.js';
import { forwardedClientCert } from './forwarded-client-cert.js';
import type { HandshakeLimits } from './handshake-limit.js';
import { setForwardedClientCert, takePeerHeaders } from './headers.js';
import { Http2Front } from './http2/http2-front.js';
import type { InboundSession } from './http2/inbound-session.js';
import { StreamSocket } from './http2/stream-socket.js';
import type { LoadReports } from './load/load-reports.js';
import { asksForReports, LoadStreams } from './load/load-streams.js';
import { type RefusalCounts, Refusals } from './refusals.js';
import { checkHead, withHeadsUpTo } from './strict-head.js';

export interface InboundServerOptions {
  /** What is allowed now; a new value closes the connections that it no longer allows. */
  readonly policy: Signal<InboundPolicy>;
  readonly identity: IdentitySource;
  /** Certificates that the policy names (SDS). */
  readonly secrets?: SecretLookup | undefined;
  /** Trust domains besides our own whose workloads may connect. */
  readonly trustDomains?: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: Observer;
  readonly scope?: InboundScope | undefined;
  /** Istio's metadata exchange; undefined = callers are not asked who they are. */
  readonly peers?: InboundPeers;
  /** How many TLS handshakes of an address may come to nothing. */
  readonly handshakes?: HandshakeLimits | undefined;
  /** Takes note of connections without TLS; undefined = nobody does. */
  readonly callers?: PlaintextCallers | undefined;
  /** Tells callers of the load of this process; undefined = nobody does. */
  readonly loads?: LoadReports | undefined;
  /** A connection that sends no byte for this long is closed, in milliseconds. Default 5000. */
  readonly sniffTimeoutMs?: number;
  /** How long `close` waits for running exchanges, in milliseconds. Default 10 000. */
  readonly drainTimeoutMs?: number;
}

/** What callers say of themselves, and what we say of us. */
export interface InboundPeers {
  /** Reads the metadata of a caller. */
  read(text: string): WorkloadInfo | undefined;
  /** Ours, as the header carries it. */
  readonly metadata: string;
  readonly nodeId: string;
}

/** The mesh's hold on one HTTP server. */
export interface InboundAttachment {
  /** Connections refused so far, by reason. */
  readonly refusals: RefusalCounts;
  /** Gives the server back as it was: later connections are plain HTTP, unprotected. Live connections stay open. */
  detach(): void;
  /**
   * Refuses new connections, lets running exchanges finish and closes the rest; a connection that has carried no request yet
   * has half a second for one. The server's own `close` stays with its owner.
   */
  close(): Promise<void>;
}

const DEFAULT_SNIFF_TIMEOUT_MS = 5_000;
const DEFAULT_DRAIN_TIMEOUT_MS = 10_000;

const attached = new WeakSet<object>();

/**
 * Puts the mesh in front of a node:http server: mTLS and plaintext on its one port as the policy says, verified
 * peers, filters and observers around every request.
 *
 * It takes over `emit` of this one server object, so that listeners added at any time, before or after, by any
 * framework, sit behind it.
 *
 * @throws MeshError `INMESH_UNSUPPORTED` for an https or http2 server.
 */
export function attachInbound(server: HttpServer, options: InboundServerOptions): InboundAttachment {
  checkServer(server);
  attached.add(server);
  return new InboundServer(server, options);
}

class InboundServer implements InboundAttachment {
  readonly #server: HttpServer;
  readonly #options: InboundServerOptions;
  readonly #tools: ExchangeTools;
  readonly #refusals: Refusals;
  readonly #tls: MeshTls;
  readonly #acceptor: Acceptor;
  readonly #http2: Http2Front;
  readonly #connections = new Set<InboundConnection>();
  readonly #unsubscribe: readonly Unsubscribe[];
  readonly #restore: () => void;
  readonly #emit: HttpServer['emit'];
  readonly #observed: boolean;
  readonly #loadStreams: LoadStreams | undefined;
  #draining: Draining | undefined;

  constructor(server: HttpServer, options: InboundServerOptions) {
    const { clock, identity, logger, observer, policy, random } = options;
    this.#server = server;
    this.#options = options;
    this.#tools = { clock, random, logger, observer, scope: options.scope };
    this.#observed = observer.exchange !== undefined;
    this.#loadStreams = options.loads && new LoadStreams(options.loads);
    this.#refusals = new Refusals(logger, clock);
    this.#tls = createMeshTls(identity, { clock, trustDomains: options.trustDomains ?? [] });
    this.#acceptor = new Acceptor({
      policy: () => policy.value,
      tls: this.#tls,
      identity,
      secrets: options.secrets,
      sniffTimeoutMs: options.sniffTimeoutMs ?? DEFAULT_SNIFF_TIMEOUT_MS,
      clock,
      refusals: this.#refusals,
      callers: options.callers,
      handshakes: options.handshakes,
      accepted: (socket, peer) => this.#accepted(socket, peer),
      acceptedHttp2: (socket, peer) => this.#acceptedHttp2(socket, peer),
      ended: () => this.#draining?.look(),
    });
    this.#http2 = new Http2Front({
      clock,
      limits: (end) => this.#limitsOf(end),
      accepted: (socket, peer) => this.#accepted(socket, peer),
    });
    this.#unsubscribe = [
      this.#tls.onUpdate(() => this.#acceptor.rotate()),
      policy.subscribe((value) => this.#enforce(value)),
      () => this.#tls.close(),
    ];
    this.#emit = server.emit.bind(server);
    this.#restore = this.#takeOver();
  }

  get refusals(): RefusalCounts {
    return this.#refusals.counts;
  }

  detach(): void {
    this.#restore();
    attached.delete(this.#server);
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    for (const connection of this.#all()) connection.release();
    this.#connections.clear();
    this.#acceptor.close();
  }

  close(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining.done;
  }

  #drain(): Draining {
    this.#acceptor.refuse();
    this.#loadStreams?.close();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    for (const connection of this.#all()) connection.drainAfterFirst();
    this.#http2.onEmpty(() => this.#draining?.look());
    const { clock, drainTimeoutMs: timeoutMs = DEFAULT_DRAIN_TIMEOUT_MS } = this.#options;
    const steps = {
      isEmpty: () => this.#acceptor.pending === 0 && this.#all().length === 0,
      shut: () => {
        this.#acceptor.close();
        for (const connection of this.#all()) connection.drain();
      },
      destroy: () => {
        for (const connection of this.#all()) connection.destroy();
      },
    };
    return new Draining(steps, { clock, timeoutMs });
  }

  #all(): readonly (InboundSession | InboundConnection)[] {
    return [...this.#http2.sessions, ...this.#connections];
  }

  /** Intercepts the events that concern us and leaves every other as it is. */
  #takeOver(): () => void {
    const server = this.#server;
    const own = ['emit', 'closeIdleConnections', 'closeAllConnections'] as const;
    const before = own.map((name) => Object.getOwnPropertyDescriptor(server, name));
    const { closeIdleConnections, closeAllConnections } = server;
    server.emit = (event: string, ...args: unknown[]) => this.#intercept(event, args);
    // Node knows only connections that its parser has; `server.close()` calls the first of these.
    server.closeIdleConnections = () => {
      closeIdleConnections.call(server);
      this.#acceptor.dropPendingIn(FIRST_REQUEST_MS);
      for (const session of this.#http2.sessions) session.drainAfterFirst();
    };
    server.closeAllConnections = () => {
      closeAllConnections.call(server);
      this.#acceptor.dropPending();
      for (const session of this.#http2.sessions) session.destroy();
    };
    return () => {
      for (const [index, name] of own.entries()) {
        const descriptor = before[index];
        if (descriptor === undefined) Reflect.deleteProperty(server, name);
        else Object.defineProperty(server, name, descriptor);
      }
    };
  }

  // Node emits each of these events with exactly these arguments.
  #intercept(event: string, args: unknown[]): boolean {
    switch (event) {
      case 'request':
      case 'checkContinue':
      case 'checkExpectation':
        return this.#request(event, args[0] as IncomingMessage, args[1] as ServerResponse);
      case 'upgrade':
      case 'connect':
        return this.#tunnel(event, args[0] as IncomingMessage, args[1] as Duplex, args[2] as Buffer);
      case 'connection':
        this.#acceptor.accept(args[0] as Duplex);
        return true;
      default:
        return this.#emit(event, ...args);
    }
  }

  #accepted(socket: Duplex, peer: InboundPeer | undefined): void {
    // A stream of HTTP/2 is no connection: its session is.
    const isStream = socket instanceof StreamSocket;
    const limits = isStream ? undefined : this.#limitsOf({ socket, peer });
    const options = { limits, watches: !isStream };
    const connection = new InboundConnection(socket, peer, this.#options.clock, options);
    this.#connections.add(connection);
    socket.once('close', () => {
      this.#connections.delete(connection);
      this.#draining?.look();
    });
    if (this.#draining !== undefined && !isStream) connection.drainAfterFirst();
    withHeadsUpTo(limits?.maxRequestHeadersKb ?? 0, this.#server, () => this.#emit('connection', socket));
  }

  #acceptedHttp2(socket: Duplex, peer: InboundPeer | undefined): void {
    this.#http2.accept(socket, peer);
    if (this.#draining === undefined) return;
    for (const session of this.#http2.sessions) session.drainAfterFirst();
  }

  #limitsOf(end: ConnectionEnd): InboundLimits | undefined {
    return chainOf(this.#options.policy.value, end)?.limits;
  }

  #request(event: string, request: IncomingMessage, response: ServerResponse): boolean {
    const connection = connectionOf(request.socket);
    const chain = this.#chain(connection, request.socket);
    if (chain === undefined || connection?.begin(response) === false) {
      request.socket.destroy();
      return true;
    }
    const refused = chain.limits && checkHead(request, chain.limits);
    if (refused !== undefined) {
      if (request.socket instanceof StreamSocket) {
        // Envoy: of HTTP/2 the stream is reset.
        request.socket.destroy();
        return true;
      }
      response.shouldKeepAlive = false;
    }
    const peer = connection?.peer;
    const isMember = peer?.spiffeId !== undefined;
    const stopped = refused ?? (chain.door && enter(request, chain.door, isMember));
    setForwardedClientCert(request, this.#clientCert(request, chain, peer));
    const caller = this.#meet(request, response);
    const dispatch = this.#toApplication(event, request, response, isMember);
    const isPlain = chain.service === undefined && chain.log === undefined && chain.times === undefined;
    if (isPlain && stopped === undefined && !this.#observed) return dispatch();
    runRequest(
      {
        request,
        secure: peer !== undefined,
        peerId: peer?.spiffeId,
        peer: caller,
        askForBody: event === 'checkContinue' ? () => response.writeContinue() : undefined,
        dispatch,
      },
      response,
      stopped === undefined ? chain : { ...chain, service: async (one) => localReply(one, stopped) },
      this.#tools,
    );
    return true;
  }

  #clientCert(request: IncomingMessage, { clientCert }: InboundChain, peer: InboundPeer | undefined) {
    if (clientCert === undefined) return peer?.forwardedClientCert;
    const received = request.headers['x-forwarded-client-cert'];
    const text = Array.isArray(received) ? received.join(',') : received;
    return forwardedClientCert(clientCert, text, peer, () => connectionInfo(request.socket));
  }

  /** Hands a request to the application; to members of the mesh that want to know, the mesh itself reports its load. */
  #toApplication(
    event: string,
    request: IncomingMessage,
    response: ServerResponse,
    isTrusted: boolean,
  ): () => boolean {
    const streams = this.#loadStreams;
    if (isTrusted && streams !== undefined && asksForReports(request)) {
      return () => {
        streams.serve(request, response);
        return true;
      };
    }
    this.#options.loads?.arrived(request, response, isTrusted);
    return () => this.#emit(event, request, response);
  }

  #tunnel(event: string, request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const connection = connectionOf(socket);
    const chain = this.#chain(connection, request.socket);
    if (chain === undefined || connection?.beginTunnel() === false) {
      socket.destroy();
      return true;
    }
    const peer = connection?.peer;
    const stopped =
      (chain.limits && checkHead(request, chain.limits)) ??
      (chain.door && enter(request, chain.door, peer?.spiffeId !== undefined));
    setForwardedClientCert(request, this.#clientCert(request, chain, peer));
    const caller = this.#meet(request, undefined);
    const service: Service | undefined =
      stopped === undefined ? (chain.tunnels ?? chain.service) : async (one) => localReply(one, stopped);
    const isPlain = service === undefined && chain.log === undefined && chain.times === undefined;
    if (isPlain && !this.#observed) return this.#emit(event, request, socket, head);
    runTunnel(
      {
        request,
        secure: peer !== undefined,
        peerId: peer?.spiffeId,
        peer: caller,
        upgrade: event === 'connect' ? 'connect' : request.headers.upgrade?.toLowerCase(),
        dispatch: () => void this.#emit(event, request, socket, head),
      },
      socket,
      { ...chain, service },
      this.#tools,
    );
    return true;
  }

  /** Istio: who asks by the ID header hears who we are in the response. */
  #meet(request: IncomingMessage, response: ServerResponse | undefined): WorkloadInfo | undefined {
    const { peers } = this.#options;
    if (peers === undefined) return undefined;
    const { metadata, id } = takePeerHeaders(request);
    if (id !== undefined && response !== undefined) {
      response.setHeader('x-envoy-peer-metadata', peers.metadata);
      response.setHeader('x-envoy-peer-metadata-id', peers.nodeId);
    }
    if (metadata === undefined) return undefined;
    const caller = peers.read(metadata);
    if (caller !== undefined && connectionOf(request.socket)?.peer === undefined)
      this.#options.callers?.named(request.socket, caller);
    return caller;
  }

  /** What applies to a connection now; one from before we were attached counts as plaintext. */
  #chain(connection: InboundConnection | undefined, socket: Duplex): InboundChain | undefined {
    return chainOf(this.#options.policy.value, connection ?? { socket, peer: undefined });
  }

  #enforce(policy: InboundPolicy): void {
    for (const connection of this.#all()) {
      if (chainOf(policy, connection) === undefined) connection.drain();
    }
  }
}

function checkServer(server: HttpServer): void {
  if (attached.has(server)) {
    throw new MeshError('INMESH_OPTION_INVALID', 'this server is attached to a mesh already', {
      hint: 'Call mesh.listen once per server',
    });
  }
  const given: unknown = server;
  if (given instanceof HttpServer) return;
  const what = given instanceof TlsServer ? 'an https or secure http2 server' : 'not a node:http server';
  throw new MeshError('INMESH_UNSUPPORTED', `the server given to the mesh is ${what}`, {
    hint: 'Pass the result of http.createServer() or net.createServer(): the mesh adds TLS itself, with certificates that it rotates',
  });
}
