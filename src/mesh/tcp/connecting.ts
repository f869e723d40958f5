import type { ClusterRuntime } from '../../cluster/cluster.js';
import type { Host } from '../../cluster/host.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import { type Backoff, createRetryBackoff } from '../../runtime/backoff.js';
import { type MeshErrorCode, messageOf } from '../../runtime/errors.js';
import type { RawConnection } from '../../service/connection.js';
import type { ResponseFlag } from '../../service/context.js';
import type { Request } from '../../service/service.js';
import { withRequestMetadata } from '../metadata-match.js';
import { refuseConnection } from './errors.js';
import type { ConnectDone, ConnectPolicy, ProxyTools } from './route.js';

/** How often another host is asked for when one that was tried comes up again. */
const OTHER_HOST_ATTEMPTS = 5;

/** One connection on its way to an endpoint: Envoy's TCP proxy until the connection stands. */
export class Connecting {
  readonly #cluster: ClusterRuntime;
  readonly #request: Request;
  readonly #policy: ConnectPolicy;
  readonly #tools: ProxyTools;
  readonly #done: ConnectDone;
  readonly #tried: Host[] = [];
  #backoff: Backoff | undefined;
  #giveUp: Unsubscribe | undefined;
  #isOver = false;
  #lastError: unknown;

  constructor(
    cluster: ClusterRuntime,
    request: Request,
    policy: ConnectPolicy,
    tools: ProxyTools,
    done: ConnectDone,
  ) {
    this.#cluster = cluster;
    this.#request = request;
    this.#policy = policy;
    this.#tools = tools;
    this.#done = done;
  }

  /** Begins; the returned function gives up. */
  start(): Unsubscribe {
    // Whoever calls has not got the function yet that gives up.
    queueMicrotask(() => {
      if (!this.#isOver && !this.#isShed()) this.#attempt(false);
    });
    return () => {
      this.#isOver = true;
      this.#giveUp?.();
    };
  }

  #isShed(): boolean {
    const shed = this.#cluster.shed();
    if (shed === undefined) return false;
    this.#refuse(
      'INMESH_DROP_OVERLOAD',
      shed === 'all' ? 'UDO' : 'DO',
      'the control plane has connections to this service dropped',
      'Its drop_overloads end when the service has recovered',
    );
    return true;
  }

  #attempt(isWarm: boolean): void {
    const { context } = this.#request;
    if (this.#tried.length > 0 && this.#tried.length >= this.#policy.maxAttempts) {
      this.#exhausted();
      return;
    }
    const host = this.#pick();
    if (host === undefined) {
      if (isWarm) this.#noHost();
      // A DNS cluster has no hosts until its first answer.
      else this.#whenReady();
      return;
    }
    const member = this.#cluster.memberOf(host);
    this.#tried.push(host);
    context.attemptCount++;
    context.upstreamHost = host.address;
    context.upstream = host;
    this.#tools.peers?.introduce(this.#request, member, host);
    const giveUp = member.dial(
      host,
      (error, socket, peerId) => {
        this.#giveUp = undefined;
        if (this.#isOver) {
          socket?.destroy();
          return;
        }
        if (socket === undefined) this.#failed(error);
        else this.#connected(socket, peerId);
      },
      this.#policy.tunnel,
    );
    if (giveUp === undefined) {
      this.#refuse(
        'INMESH_OVERFLOW',
        'UO',
        `${member.name} has as many connections as it may have`,
        'Raise maxConnections in its DestinationRule, or close connections sooner',
      );
      return;
    }
    this.#giveUp = giveUp;
  }

  #pick(): Host | undefined {
    const { hash, metadataMatch } = this.#policy;
    const { dynamicMetadata } = this.#request.context;
    return this.#cluster.pick({
      priority: 'default',
      avoid: this.#tried.length === 0 ? undefined : this.#tried,
      selectionAttempts: OTHER_HOST_ATTEMPTS,
      request: this.#request,
      hash,
      metadataMatch:
        dynamicMetadata === undefined ? metadataMatch : withRequestMetadata(metadataMatch, dynamicMetadata),
    });
  }

  #whenReady(): void {
    void this.#cluster.ready.then(() => {
      if (!this.#isOver) this.#attempt(true);
    });
  }

  #connected(socket: RawConnection, peerId: string | undefined): void {
    const { context } = this.#request;
    context.peerId = peerId;
    this.#isOver = true;
    this.#done(null, socket);
  }

  #failed(error: unknown): void {
    const { context } = this.#request;
    this.#lastError = error;
    context.transportFailure = messageOf(error);
    if (!context.flags.includes('UF')) context.flags.push('UF');
    const { backoff } = this.#policy;
    if (backoff === undefined || this.#tried.length >= this.#policy.maxAttempts) {
      this.#attempt(true);
      return;
    }
    this.#backoff ??= createRetryBackoff(backoff.baseMs, backoff.maxMs, this.#tools.random);
    const timer = this.#tools.clock.schedule(this.#backoff.next(), () => {
      this.#giveUp = undefined;
      this.#attempt(true);
    });
    this.#giveUp = () => timer.cancel();
  }

  /** Envoy: the last failure and the limit both show. */
  #exhausted(): void {
    const { upstreamHost } = this.#request.context;
    this.#refuse(
      'INMESH_UPSTREAM_CONNECT',
      'URX',
      `no connection to ${upstreamHost}: ${messageOf(this.#lastError)}`,
      'Check that the endpoint runs and can be reached; `cause` says what happened',
    );
  }

  #noHost(): void {
    this.#refuse(
      'INMESH_NO_HEALTHY_UPSTREAM',
      'UH',
      `${this.#cluster.name} has no healthy endpoint`,
      'Check that instances of the service run and are registered, and their health',
    );
  }

  #refuse(code: MeshErrorCode, flag: ResponseFlag, what: string, hint: string): void {
    this.#isOver = true;
    const { context, authority } = this.#request;
    this.#done(refuseConnection(context, authority, { code, flag, what, hint, cause: this.#lastError }));
  }
}
