import type { ClusterRuntime } from '../cluster/cluster.js';
import type { Host } from '../cluster/host.js';
import type { PickContext } from '../cluster/lb/load-balancer.js';
import { avoidPriorities } from '../cluster/retry-priority.js';
import type { HostBreakers } from '../filters/failure-rate-breaker.js';
import { tellTimeout } from '../filters/time-limits.js';
import { RouteTimeout } from '../filters/timeout.js';
import type { MetadataStruct } from '../model/metadata.js';
import type { RetryPolicy } from '../model/retry.js';
import type { RoutePriority } from '../model/route.js';
import type { RequestHash } from '../routing/hash-policy.js';
import { type HostMemory, rewriteHost } from '../routing/route-effects.js';
import type { Clock } from '../runtime/clock.js';
import { codeOf, MeshError, messageOf } from '../runtime/errors.js';
import type { Attempt, Exchange, ResponseFlag } from '../service/context.js';
import { isGrpc } from '../service/local-reply.js';
import type { Observer } from '../service/observer.js';
import type { Request, Response, Service } from '../service/service.js';
import { TransportError, type TransportFailure } from '../service/transport-error.js';
import { noHealthyUpstream, overflow } from './answers.js';
import { dropOverload } from './drop-overload.js';
import { withRequestMetadata } from './metadata-match.js';
import type { PeerExchange } from './peer-exchange.js';
import { sendWithin } from './timed-attempt.js';

export interface AttemptOptions {
  readonly priority: RoutePriority;
  readonly avoidPreviousHosts: boolean;
  readonly hostSelectionAttempts: number;
  /** Hosts that retries avoid whether tried or not. */
  readonly rejects?: ((host: Host) => boolean) | undefined;
  /** Retries leave out the priorities that were tried. */
  readonly previousPriorities?: RetryPolicy['previousPriorities'];
  /** Sends `x-envoy-attempt-count` (Envoy `include_request_attempt_count`). */
  readonly sendAttemptCount: boolean;
  /** What requests are placed by; undefined = nothing. */
  readonly hash?: RequestHash | undefined;
  /** What the route asks of a host's `envoy.lb` metadata. */
  readonly metadataMatch?: MetadataStruct | undefined;
  /** Calls of gRPC that are tried again say how often they were before (gRFC A6). */
  readonly countsGrpcAttempts?: boolean | undefined;
  /** Sends `x-envoy-is-timeout-retry` with retries. */
  readonly sendIsTimeoutRetry?: boolean | undefined;
  /** Failure-rate breakers of the hosts; undefined = none. */
  readonly hostBreakers?: HostBreakers | undefined;
  /** The request gets the endpoint's name as its host (Envoy `auto_host_rewrite`). */
  readonly autoHost?: HostMemory | undefined;
  /** Whether calls of gRPC get that name now, too (gRFC A81); undefined = they do. */
  readonly renamesCalls?: (() => boolean) | undefined;
}

export interface AttemptTools {
  readonly clock: Clock;
  /** Keeps the time limits on peers; by default `clock`. */
  readonly timeouts?: Clock | undefined;
  readonly observer: Observer;
  readonly peers?: PeerExchange | undefined;
}

/** One attempt at a cluster: a host, a permit that is held until the trailers settle, the limits of the attempt, the wire. */
export function attempt(cluster: ClusterRuntime, options: AttemptOptions, tools: AttemptTools): Service {
  const { avoidPreviousHosts, previousPriorities, hostBreakers } = options;
  const rejects = compileRejections(options);
  const remembersHosts = avoidPreviousHosts || previousPriorities !== undefined;
  // A DNS cluster has no hosts until its first answer: requests wait for that one, and only for it.
  let isReady = false;
  const ready = cluster.ready.then(() => {
    isReady = true;
  });
  const run: Service = (request) => {
    const dropped = request.context.attemptCount === 0 ? dropOverload(cluster, request) : undefined;
    if (dropped !== undefined) return dropped;
    const host = cluster.pick(pickContext(request, options, rejects));
    if (host === undefined) {
      return isReady ? noHealthyUpstream(request) : ready.then(() => run(request));
    }
    return hostBreakers === undefined
      ? at(host, request)
      : hostBreakers.of(host)(request, (one) => at(host, one));
  };
  const at = (host: Host, request: Request): Promise<Response> => {
    const { context } = request;
    // Of an aggregate cluster, the member whose host it is keeps the counts.
    const member = cluster.memberOf(host);
    const { requests } = member.breakers[options.priority];
    if (!requests.tryAcquire()) {
      member.overflowed();
      return overflow(request);
    }
    context.attemptCount++;
    context.upstreamHost = host.address;
    context.upstream = host;
    if (remembersHosts) {
      if (context.triedHosts === undefined) context.triedHosts = [host];
      else context.triedHosts.push(host);
    }
    prepare(request, host, options);
    tools.peers?.introduce(request, member, host);
    return send(member, host, request, tools, requests);
  };
  return run;
}

/** What the request says about the attempt. */
function prepare(request: Request, host: Host, options: AttemptOptions): void {
  const { context, headers } = request;
  if (options.autoHost !== undefined && host.hostname !== '' && mayRename(request, options)) {
    rewriteHost(request, host.hostname, options.autoHost);
  }
  if (options.sendAttemptCount) headers.set('x-envoy-attempt-count', String(context.attemptCount));
  if (context.attemptCount === 1) return;
  // What the last attempt ended with is not how this one does.
  context.details = undefined;
  if ((options.countsGrpcAttempts === true || context.callRetry !== undefined) && isGrpc(request)) {
    headers.set('grpc-previous-rpc-attempts', String(context.attemptCount - 1));
  }
  if (options.sendIsTimeoutRetry === true) {
    headers.set('x-envoy-is-timeout-retry', String(context.followsTimeout));
  }
}

/** gRFC A81: of a server that is not trusted, clients of gRPC take no other authority. */
function mayRename(request: Request, { renamesCalls }: AttemptOptions): boolean {
  return renamesCalls === undefined || !isGrpc(request) || renamesCalls();
}

/** What hosts an attempt does not want. */
interface Rejections {
  readonly ofFirst: ((host: Host) => boolean) | undefined;
  readonly ofRetry: ((host: Host) => boolean) | undefined;
}

/** Envoy: only retries are particular about their hosts; but nobody wants one that would refuse. */
function compileRejections({ rejects, hostBreakers }: AttemptOptions): Rejections {
  if (hostBreakers === undefined) return { ofFirst: undefined, ofRetry: rejects };
  const isOpen = (host: Host) => hostBreakers.isOpen(host);
  return {
    ofFirst: isOpen,
    ofRetry: rejects === undefined ? isOpen : (host) => isOpen(host) || rejects(host),
  };
}

function pickContext(request: Request, options: AttemptOptions, rejects: Rejections): PickContext {
  const { dynamicMetadata, triedHosts, attemptCount } = request.context;
  const { priority, hostSelectionAttempts, hash, metadataMatch, avoidPreviousHosts } = options;
  const { previousPriorities } = options;
  // Whatever is remembered there is a host of this cluster, or of one that the request was redirected from.
  const tried = triedHosts as readonly Host[] | undefined;
  return {
    priority,
    selectionAttempts: hostSelectionAttempts,
    avoid: avoidPreviousHosts ? tried : undefined,
    rejects: attemptCount > 0 ? rejects.ofRetry : rejects.ofFirst,
    priorityLoad:
      previousPriorities === undefined || tried === undefined
        ? undefined
        : avoidPriorities(tried, previousPriorities.updateFrequency),
    request,
    hash,
    metadataMatch:
      dynamicMetadata === undefined ? metadataMatch : withRequestMetadata(metadataMatch, dynamicMetadata),
  };
}

interface Permit {
  release(): void;
}

function send(
  cluster: ClusterRuntime,
  host: Host,
  request: Request,
  tools: AttemptTools,
  permit: Permit,
): Promise<Response> {
  const startMs = tools.clock.now();
  const { timing, limits, trace } = request.context;
  const one = begin(cluster, host, request.context, startMs);
  const endTrace = trace?.attempt?.(request.headers, one, cluster.name);
  if (limits !== undefined) tellTimeout(request, limits, startMs);
  if (timing !== undefined) timing.attemptStartMs = startMs;
  return sendLimited(cluster, host, request, tools).then(
    (response) => {
      tools.peers?.meet(request, response);
      const { setCookies } = request.context;
      if (setCookies !== undefined)
        for (const { line } of setCookies) response.headers.append('set-cookie', line);
      response.completion.onEnd(({ error }) => {
        permit.release();
        if (error !== undefined) brokeOff(request);
        endTrace?.(one, error);
      });
      const nowMs = tools.clock.now();
      if (timing !== undefined) timing.responseStartMs = nowMs;
      one.status = response.status;
      one.durationMs = nowMs - startMs;
      tell(cluster, request, one, tools);
      return response;
    },
    (error: unknown) => {
      permit.release();
      failed(cluster, host, request, error);
      one.error = error;
      one.durationMs = tools.clock.now() - startMs;
      endTrace?.(one, error);
      tell(cluster, request, one, tools);
      throw error;
    },
  );
}

function sendLimited(
  cluster: ClusterRuntime,
  host: Host,
  request: Request,
  { clock, timeouts = clock }: AttemptTools,
): Promise<Response> {
  const { limits } = request.context;
  const durationMs = limits?.attemptMs ?? cluster.config.maxStreamDurationMs ?? 0;
  // With hedging a late attempt runs on: whoever hedges keeps the time.
  const perTryMs = limits === undefined || limits.hedgeOnPerTry ? 0 : limits.perTryMs;
  const idleMs = limits?.perTryIdleMs ?? 0;
  if (perTryMs + idleMs + durationMs === 0) return cluster.send(host, request);
  const wire: Service = (one) => cluster.send(host, one);
  return sendWithin(wire, request, { perTryMs, idleMs, durationMs }, timeouts);
}

/** Flags and blame of an attempt without response. */
function failed(cluster: ClusterRuntime, host: Host, request: Request, error: unknown): void {
  if (!TransportError.is(error)) return;
  const { context } = request;
  context.transportFailure = messageOf(error.cause ?? error);
  const { failure } = error;
  // Envoy: the route's and the per-try limits count against the host as local-origin timeouts.
  const isLate = failure === 'per-try-timeout' || failure === 'per-try-idle-timeout';
  if (isLate || request.abort.reason instanceof RouteTimeout) cluster.reportTimeout(host);
  const reset = RESETS[failure];
  if (reset === undefined) return;
  if (!context.flags.includes(reset.flag)) context.flags.push(reset.flag);
  const reason = isConnectTimeout(error) ? 'connection_timeout' : reset.reason;
  context.details = `upstream_reset_before_response_started{${reason}|${context.transportFailure}}`.replace(
    /\s+/g,
    '_',
  );
}

/** Mutual TLS tells of it in a MeshError. */
function isConnectTimeout({ failure, cause }: TransportError): boolean {
  if (failure !== 'connect') return false;
  const own = MeshError.is(cause) ? cause.cause : cause;
  return codeOf(own) === 'UND_ERR_CONNECT_TIMEOUT';
}

/** A response broke off: by the route's time limit, or because the connection did; the caller's own doing says nothing. */
function brokeOff({ context, abort }: Request): void {
  if (abort.reason instanceof RouteTimeout) {
    if (!context.flags.includes('UT')) context.flags.push('UT');
    context.details = 'response_timeout';
  } else if (!abort.aborted) {
    const { flag, reason } = RESETS[context.bodyFailure ?? 'reset'] ?? CONNECTION_TERMINATION;
    if (!context.flags.includes(flag)) context.flags.push(flag);
    context.details = `upstream_reset_after_response_started{${reason}}`;
  }
}

interface Reset {
  readonly flag: ResponseFlag;
  readonly reason: string;
}

const CONNECTION_TERMINATION: Reset = { flag: 'UC', reason: 'connection_termination' };

/** Envoy's flag and words for the reset that a failure is. */
const RESETS: Readonly<Record<TransportFailure, Reset | undefined>> = {
  connect: { flag: 'UF', reason: 'remote_connection_failure' },
  reset: CONNECTION_TERMINATION,
  'remote-reset': { flag: 'UR', reason: 'remote_reset' },
  refused: { flag: 'UR', reason: 'remote_refused_stream_reset' },
  protocol: { flag: 'UPE', reason: 'protocol_error' },
  'per-try-timeout': undefined,
  'per-try-idle-timeout': undefined,
  'stream-duration': undefined,
  aborted: undefined,
};

function begin(cluster: ClusterRuntime, host: Host, context: Exchange, startMs: number): Attempt {
  return {
    number: context.attemptCount,
    host: host.address,
    chosenBy: isOverride(context, host) ? 'override-host' : cluster.config.lbPolicy.kind,
    startMs,
    status: undefined,
    error: undefined,
    durationMs: undefined,
  };
}

/** Notes the attempt on the exchange and tells whoever listens. */
function tell(cluster: ClusterRuntime, request: Request, one: Attempt, tools: AttemptTools): void {
  const { context } = request;
  if (context.attempts === undefined) context.attempts = [one];
  else context.attempts.push(one);
  tools.observer.attempt?.(request, one, cluster.name);
}

/** The first attempt went to the host that a filter asked for. */
function isOverride({ attemptCount, overrideHost }: Exchange, host: Host): boolean {
  return attemptCount === 1 && overrideHost?.address === host.address;
}
