import type { Http2Server, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { createMeshTls, type MeshTls } from '../../identity/tls-options.js';
import type { InboundPolicy } from '../../mesh/inbound.js';
import { STREAM_REPORTS } from '../../mesh/orca/report-wire.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import type { ConnectionInfo } from '../../service/connection.js';
import { Acceptor } from '../http/acceptor.js';
import type { InboundPeer } from '../http/connection.js';
import { type ConnectionEnd, chainOf } from '../http/connection-chain.js';
import { connectionInfo } from '../http/connection-info.js';
import { forwardedClientCert } from '../http/forwarded-client-cert.js';
import { InboundSession } from '../http/http2/inbound-session.js';
import { type RefusalCounts, Refusals } from '../http/refusals.js';
import type { InboundServerOptions } from '../http/server.js';
import { ignore } from '../http/sniff.js';
import { type CallTools, InboundCall } from './call.js';
import { callHead } from './call-head.js';
import { keepsLimits } from './head-limits.js';
import { countLoad } from './loads.js';

/** How a server of gRPC is held. */
export interface GrpcFrontOptions extends InboundServerOptions {
  /** Somebody of the mesh asks for a stream of reports of load. */
  readonly onReports?: () => void;
}

/** One connection. */
interface Entry {
  readonly session: InboundSession;
  readonly peer: InboundPeer | undefined;
  readonly info: ConnectionInfo;
}

/** RFC 9113 §7. */
const { REFUSED_STREAM, ENHANCE_YOUR_CALM } = { REFUSED_STREAM: 7, ENHANCE_YOUR_CALM: 11 };
const DEFAULT_SNIFF_TIMEOUT_MS = 5_000;

/**
 * The mesh in front of one HTTP/2 server of grpc-js: mTLS and plaintext on its one port as the policy says, verified
 * peers, and filters and observers around every call.
 *
 * It takes over `emit` of this one server object. What is behind it, grpc-js with everything that it does for connections
 * and calls, sees streams that passed the filters. Its own interceptors would come too late: they are made for methods that
 * are registered, and see messages, not bytes.
 */
export class GrpcFront {
  readonly #options: GrpcFrontOptions;
  readonly #tools: CallTools;
  readonly #refusals: Refusals;
  readonly #tls: MeshTls;
  readonly #acceptor: Acceptor;
  readonly #sessions = new Set<Entry>();
  readonly #unsubscribe: readonly Unsubscribe[];
  readonly #emit: Http2Server['emit'];
  readonly #answerLines: readonly (readonly [string, string])[];
  /** The connection whose stream is announced. */
  #current: Entry | undefined;
  #arriving: ConnectionEnd | undefined;
  #isEmpty: (() => void) | undefined;

  constructor(server: Http2Server, options: GrpcFrontOptions) {
    const { clock, random, identity, logger, observer, policy, scope, peers } = options;
    this.#options = options;
    this.#tools = { clock, random, logger, observer, scope };
    this.#refusals = new Refusals(logger, clock);
    this.#tls = createMeshTls(identity, { clock, trustDomains: options.trustDomains ?? [] });
    const accepted = (socket: Duplex, peer: InboundPeer | undefined) => this.#accepted(socket, peer);
    this.#acceptor = new Acceptor({
      policy: () => policy.value,
      tls: this.#tls,
      identity,
      secrets: options.secrets,
      sniffTimeoutMs: options.sniffTimeoutMs ?? DEFAULT_SNIFF_TIMEOUT_MS,
      clock,
      refusals: this.#refusals,
      callers: options.callers,
      // Whatever it is that does not begin as HTTP/2: Node's parser says so.
      accepted,
      acceptedHttp2: accepted,
      isHttp2: true,
    });
    this.#unsubscribe = [
      this.#tls.onUpdate(() => this.#acceptor.rotate()),
      policy.subscribe((value) => this.#enforce(value)),
      () => this.#tls.close(),
    ];
    this.#answerLines =
      peers === undefined
        ? []
        : [
            ['x-envoy-peer-metadata', peers.metadata],
            ['x-envoy-peer-metadata-id', peers.nodeId],
          ];
    this.#emit = server.emit.bind(server);
    server.emit = (event: string, ...args: unknown[]) => this.#intercept(event, args);
    server.once('close', () => this.stop());
  }

  /** Connections refused so far, by reason. */
  get refusals(): RefusalCounts {
    return this.#refusals.counts;
  }

  /** Takes no more connections, and stops to follow policy and identity. */
  stop(): void {
    this.#acceptor.close();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  /** Tells every client to go on elsewhere; settles when the last connection is closed, which is when its calls are over. */
  drain(): Promise<void> {
    this.stop();
    for (const { session } of this.#sessions) session.drain();
    if (this.#sessions.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#isEmpty = resolve;
    });
  }

  // Node emits each of these events with exactly these arguments.
  #intercept(event: string, args: unknown[]): boolean {
    switch (event) {
      case 'stream':
        this.#stream(
          args[0] as ServerHttp2Stream,
          args[1] as IncomingHttpHeaders,
          args[2],
          args[3] as string[],
        );
        return true;
      case 'connection':
        this.#acceptor.accept(args[0] as Duplex);
        return true;
      case 'session':
        this.#session(args[0] as ServerHttp2Session);
        return this.#emit(event, ...args);
      default:
        return this.#emit(event, ...args);
    }
  }

  #accepted(socket: Duplex, peer: InboundPeer | undefined): void {
    // What is not HTTP/2 by its first bytes comes flowing; Node's parser would miss them.
    socket.pause();
    // The session event of this connection comes within this call.
    this.#arriving = { socket, peer };
    this.#emit('connection', socket);
    this.#arriving = undefined;
  }

  #session(session: ServerHttp2Session): void {
    const arriving = this.#arriving;
    if (arriving === undefined) {
      session.destroy();
      return;
    }
    const { socket, peer } = arriving;
    const limits = chainOf(this.#options.policy.value, arriving)?.limits;
    session.on('error', ignore);
    const entry: Entry = {
      session: new InboundSession(session, arriving, this.#options.clock, limits, true),
      peer,
      info: connectionInfo(socket),
    };
    this.#sessions.add(entry);
    // The server's stream event comes within the session's. A stream that was reset at once has no session any more.
    session.prependListener('stream', () => {
      this.#current = entry;
    });
    session.once('close', () => {
      this.#sessions.delete(entry);
      if (this.#sessions.size === 0) this.#isEmpty?.();
    });
  }

  #stream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: unknown, raw: string[] = []): void {
    const entry = this.#current;
    const chain = entry && chainOf(this.#options.policy.value, entry.session);
    if (entry === undefined || chain === undefined) {
      refuse(stream, REFUSED_STREAM);
      return;
    }
    entry.session.carries(stream);
    if (chain.limits !== undefined && !keepsLimits(headers, raw, chain.limits)) {
      // Envoy: of HTTP/2 the stream is reset.
      refuse(stream, ENHANCE_YOUR_CALM);
      return;
    }
    const { peer, info } = entry;
    const received = headers['x-forwarded-client-cert'];
    const text = Array.isArray(received) ? received.join(',') : received;
    const head = callHead(
      headers,
      raw,
      forwardedClientCert(chain.clientCert, text, peer, () => info),
    );
    const { peers, loads, onReports } = this.#options;
    const isMember = peer?.spiffeId !== undefined;
    if (isMember && head.path === STREAM_REPORTS) onReports?.();
    if (loads !== undefined) countLoad(stream, headers, loads, isMember);
    const call = new InboundCall(
      {
        stream,
        headers,
        head,
        secure: peer !== undefined,
        peerId: peer?.spiffeId,
        peer: head.peerMetadata === undefined ? undefined : peers?.read(head.peerMetadata),
        connection: info,
        answerLines: head.peerId === undefined ? undefined : this.#answerLines,
        dispatch: (given) => void this.#emit('stream', stream, given, flags, raw),
      },
      this.#tools,
    );
    call.run(chain);
  }

  #enforce(policy: InboundPolicy): void {
    for (const { session } of this.#sessions) {
      if (chainOf(policy, session) === undefined) session.drain();
    }
  }
}

function refuse(stream: ServerHttp2Stream, code: number): void {
  stream.on('error', ignore);
  stream.close(code);
}
