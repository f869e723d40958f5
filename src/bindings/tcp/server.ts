import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecretLookup } from '../../cluster/secret-table.js';
import type { IdentitySource } from '../../identity/source.js';
import { createMeshTls } from '../../identity/tls-options.js';
import type { InboundChain, InboundPolicy } from '../../mesh/inbound.js';
import type { PlaintextCallers } from '../../mesh/plaintext-callers.js';
import { TcpSession } from '../../mesh/tcp/session.js';
import { Abort, type Unsubscribe } from '../../runtime/abort.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import type { Logger } from '../../runtime/log.js';
import type { Random } from '../../runtime/random.js';
import type { Signal } from '../../runtime/signal.js';
import { createExchange } from '../../service/context.js';
import type { Observer } from '../../service/observer.js';
import { Acceptor } from '../http/acceptor.js';
import { InboundConnection, type InboundPeer } from '../http/connection.js';
import { chainOf } from '../http/connection-chain.js';
import { connectionInfo } from '../http/connection-info.js';
import { Refusals } from '../http/refusals.js';
import { ignore } from '../http/sniff.js';

export interface TcpServerOptions {
  readonly policy: Signal<InboundPolicy>;
  readonly identity: IdentitySource;
  /** Certificates that the policy names (SDS). */
  readonly secrets?: SecretLookup | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: Observer;
  /** Takes note of connections without TLS; undefined = nobody does. */
  readonly callers?: PlaintextCallers | undefined;
}

/** The mesh's hold on one server of any protocol. */
export interface TcpAttachment {
  /** Gives the server back as it was. Live connections stay open. */
  detach(): void;
  /** Refuses new connections, and closes the others when what they wrote has left. */
  close(): void;
}

/** A connection that says nothing is taken for plaintext, where that is allowed, after so long. */
const PEEK_TIMEOUT_MS = 5_000;
/** How often in its idle time a connection is looked at. */
const IDLE_LOOKS = 10;

/**
 * Puts the mesh in front of a node:net server: mTLS and plaintext on its one port as the policy says, verified peers,
 * limits and telemetry. Its `connection` listeners get the connections that are let in; those of mTLS are TLS sockets.
 */
export function attachTcp(server: Server, options: TcpServerOptions): TcpAttachment {
  return new TcpFront(server, options);
}

class TcpFront implements TcpAttachment {
  readonly #options: TcpServerOptions;
  readonly #acceptor: Acceptor;
  readonly #connections = new Set<InboundConnection>();
  readonly #unsubscribe: readonly Unsubscribe[];
  readonly #emit: Server['emit'];
  readonly #restore: () => void;

  constructor(server: Server, options: TcpServerOptions) {
    const { clock, identity, logger, policy } = options;
    this.#options = options;
    const tls = createMeshTls(identity, { clock, trustDomains: [] });
    const accepted = (socket: Duplex, peer: InboundPeer | undefined) => this.#accepted(socket, peer);
    this.#acceptor = new Acceptor({
      policy: () => policy.value,
      tls,
      identity,
      secrets: options.secrets,
      sniffTimeoutMs: PEEK_TIMEOUT_MS,
      clock,
      refusals: new Refusals(logger, clock),
      callers: options.callers,
      accepted,
      acceptedHttp2: accepted,
      isRaw: true,
    });
    this.#unsubscribe = [
      tls.onUpdate(() => this.#acceptor.rotate()),
      policy.subscribe((value) => this.#enforce(value)),
      () => tls.close(),
    ];
    const before = Object.getOwnPropertyDescriptor(server, 'emit');
    this.#emit = server.emit.bind(server);
    server.emit = (event: string, ...given: unknown[]) => {
      if (event !== 'connection') return this.#emit(event, ...given);
      // Node emits it with the socket.
      this.#acceptor.accept(given[0] as Duplex);
      return true;
    };
    this.#restore = () => {
      if (before === undefined) Reflect.deleteProperty(server, 'emit');
      else Object.defineProperty(server, 'emit', before);
    };
  }

  detach(): void {
    this.#restore();
    this.#stop();
    for (const connection of this.#connections) connection.release();
    this.#connections.clear();
  }

  close(): void {
    this.#stop();
    for (const connection of this.#connections) connection.drain();
  }

  #stop(): void {
    this.#acceptor.close();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  #accepted(given: Duplex, peer: InboundPeer | undefined): void {
    const { clock, policy } = this.#options;
    const chain = chainOf(policy.value, { socket: given, peer });
    // Servers of node:net have sockets of node:net.
    const socket = given as Socket;
    if (chain === undefined) {
      socket.destroy();
      return;
    }
    const connection = new InboundConnection(socket, peer, clock);
    this.#connections.add(connection);
    const watch = new ConnectionWatch(socket, peer, chain, this.#options);
    socket.once('close', () => {
      this.#connections.delete(connection);
      watch.end();
    });
    watch.admit((isAdmitted) => {
      if (isAdmitted) this.#emit('connection', socket);
      else socket.destroy();
    });
  }

  #enforce(policy: InboundPolicy): void {
    for (const connection of this.#connections) {
      if (chainOf(policy, connection) === undefined) connection.drain();
    }
  }
}

/** Limits and telemetry of one connection. It looks at counters, not at bytes. */
class ConnectionWatch {
  readonly #socket: Socket;
  readonly #chain: InboundChain;
  readonly #clock: Clock;
  readonly #session: TcpSession;
  readonly #verdict: boolean | Promise<boolean>;
  /** Ends a question that is still open when the connection is over. */
  readonly #abort = new Abort();
  #idle: Timer | undefined;
  readonly #life: Timer | undefined;
  #failure: unknown;
  #seen = 0;
  #quietLooks = 0;

  constructor(
    socket: Socket,
    peer: InboundPeer | undefined,
    chain: InboundChain,
    { clock, random, observer }: TcpServerOptions,
  ) {
    this.#socket = socket;
    this.#chain = chain;
    this.#clock = clock;
    const context = createExchange('inbound', clock.now(), random());
    context.connection = connectionInfo(socket);
    context.peerId = peer?.spiffeId;
    // Asked now, because a closed socket forgets its ends.
    void context.connection.local;
    void context.connection.remote;
    if (chain.name !== '') context.values = new Map([['envoy.filter_chain_name', chain.name]]);
    const [readBefore, writtenBefore] = [socket.bytesRead - socket.readableLength, socket.bytesWritten];
    this.#session = new TcpSession(
      context,
      {
        get received() {
          return socket.bytesRead - readBefore;
        },
        get sent() {
          return socket.bytesWritten - writtenBefore;
        },
      },
      { clock, observer },
    );
    this.#verdict = chain.tcp?.admits?.(context, this.#abort) ?? true;
    this.#session.open();
    socket.on('error', (error) => {
      this.#failure = error;
    });
    const idleMs = chain.tcp?.idleTimeoutMs ?? 0;
    if (idleMs > 0) this.#watchIdle(idleMs / IDLE_LOOKS);
    const lifeMs = chain.tcp?.lifeMs();
    if (lifeMs !== undefined) {
      this.#life = clock.schedule(lifeMs, () => {
        context.flags.push('DT');
        this.#close();
      });
    }
  }

  /** Tells whether the connection is let in; at once, unless somebody is asked. Bytes wait until then. */
  admit(onVerdict: (isAdmitted: boolean) => void): void {
    const verdict = this.#verdict;
    if (typeof verdict === 'boolean') {
      onVerdict(verdict);
      return;
    }
    verdict.then(
      (isAdmitted) => {
        if (!this.#socket.destroyed) onVerdict(isAdmitted);
      },
      // Whoever can't be asked lets nobody in.
      () => onVerdict(false),
    );
  }

  end(): void {
    this.#abort.abort(undefined);
    this.#idle?.cancel();
    this.#life?.cancel();
    this.#session.close(this.#failure, this.#chain.tcp?.log);
  }

  #watchIdle(lookMs: number): void {
    this.#idle = this.#clock.schedule(lookMs, () => {
      const seen = this.#socket.bytesRead + this.#socket.bytesWritten;
      this.#quietLooks = seen === this.#seen ? this.#quietLooks + 1 : 0;
      this.#seen = seen;
      if (this.#quietLooks < IDLE_LOOKS) this.#watchIdle(lookMs);
      else this.#close();
    });
  }

  #close(): void {
    this.#socket.on('error', ignore);
    this.#socket.destroySoon();
  }
}
