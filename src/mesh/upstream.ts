import type { ClusterRuntime } from '../cluster/cluster.js';
import type { Host } from '../cluster/host.js';
import type { PickContext } from '../cluster/lb/load-balancer.js';
import { RouteTimeout } from '../filters/timeout.js';
import type { MetadataStruct } from '../model/metadata.js';
import type { RoutePriority } from '../model/route.js';
import type { RequestHash } from '../routing/hash-policy.js';
import { Abort } from '../runtime/abort.js';
import type { Clock } from '../runtime/clock.js';
import { messageOf } from '../runtime/errors.js';
import type { Attempt, Exchange, ResponseFlag } from '../service/context.js';
import type { Observer } from '../service/observer.js';
import type { Request, Response, Service } from '../service/service.js';
import { TransportError, type TransportFailure } from '../service/transport-error.js';
import { noHealthyUpstream, overflow } from './answers.js';
import { withRequestMetadata } from './metadata-match.js';
import type { PeerExchange } from './peer-exchange.js';
import { type HostMemory, rewriteHost } from './route-effects.js';

export interface AttemptOptions {
  readonly priority: RoutePriority;
  /** 0 = none. */
  readonly perTryTimeoutMs: number;
  readonly avoidPreviousHosts: boolean;
  readonly hostSelectionAttempts: number;
  /** Sends `x-envoy-attempt-count` (Envoy `include_request_attempt_count`). */
  readonly sendAttemptCount: boolean;
  /** What requests are placed by; undefined = nothing. */
  readonly hash?: RequestHash | undefined;
  /** What the route asks of a host's `envoy.lb` metadata. */
  readonly metadataMatch?: MetadataStruct | undefined;
  /** The request gets the endpoint's name as its host (Envoy `auto_host_rewrite`). */
  readonly autoHost?: HostMemory | undefined;
}

export interface AttemptTools {
  readonly clock: Clock;
  /** Keeps the time limits on peers; by default `clock`. */
  readonly timeouts?: Clock | undefined;
  readonly observer: Observer;
  readonly peers?: PeerExchange | undefined;
}

/** One attempt at a cluster: a host, a permit that is held until the trailers settle, the per-try timeout, the wire. */
export function attempt(cluster: ClusterRuntime, options: AttemptOptions, tools: AttemptTools): Service {
  const breaker = cluster.breakers[options.priority];
  // A DNS cluster has no hosts until its first answer: requests wait for that one, and only for it.
  let isReady = false;
  const ready = cluster.ready.then(() => {
    isReady = true;
  });
  const run: Service = (request) => {
    const { context } = request;
    const host = cluster.pick(pickContext(request, options));
    if (host === undefined) {
      return isReady ? noHealthyUpstream(request) : ready.then(() => run(request));
    }
    if (!breaker.requests.tryAcquire()) return overflow(request);
    context.attemptCount++;
    context.upstreamHost = host.address;
    context.upstream = host;
    if (options.autoHost !== undefined && host.hostname !== '') {
      rewriteHost(request, host.hostname, options.autoHost);
    }
    if (options.avoidPreviousHosts) {
      if (context.triedHosts === undefined) context.triedHosts = [host];
      else context.triedHosts.push(host);
    }
    if (options.sendAttemptCount) request.headers.set('x-envoy-attempt-count', String(context.attemptCount));
    tools.peers?.introduce(request, cluster, host);
    return send(cluster, host, request, options.perTryTimeoutMs, tools, breaker.requests);
  };
  return run;
}

function pickContext(request: Request, options: AttemptOptions): PickContext {
  const { triedHosts, dynamicMetadata } = request.context;
  const { priority, hostSelectionAttempts, hash, metadataMatch } = options;
  return {
    priority,
    // Only the attempts of this exchange write there.
    avoid: triedHosts as readonly Host[] | undefined,
    selectionAttempts: hostSelectionAttempts,
    request,
    hash,
    metadataMatch:
      dynamicMetadata === undefined ? metadataMatch : withRequestMetadata(metadataMatch, dynamicMetadata),
  };
}

interface Permit {
  release(): void;
}

async function send(
  cluster: ClusterRuntime,
  host: Host,
  request: Request,
  perTryTimeoutMs: number,
  tools: AttemptTools,
  permit: Permit,
): Promise<Response> {
  const startMs = tools.clock.now();
  const { timing } = request.context;
  if (timing !== undefined) timing.attemptStartMs = startMs;
  let response: Response;
  try {
    response = await (perTryTimeoutMs > 0
      ? sendWithin(cluster, host, request, perTryTimeoutMs, tools.timeouts ?? tools.clock)
      : cluster.send(host, request));
  } catch (error) {
    permit.release();
    failed(cluster, host, request, error);
    tell(cluster, host, request, startMs, undefined, error, tools);
    throw error;
  }
  tools.peers?.meet(request, response);
  const { setCookies } = request.context;
  if (setCookies !== undefined)
    for (const { line } of setCookies) response.headers.append('set-cookie', line);
  response.completion.onEnd(() => permit.release());
  if (timing !== undefined) timing.responseStartMs = tools.clock.now();
  tell(cluster, host, request, startMs, response.status, undefined, tools);
  return response;
}

/** Flags and blame of an attempt without response. */
function failed(cluster: ClusterRuntime, host: Host, request: Request, error: unknown): void {
  if (!TransportError.is(error)) return;
  request.context.transportFailure = messageOf(error.cause ?? error);
  // Envoy: the route's and the per-try timeout count against the host as local-origin timeouts.
  if (error.failure === 'per-try-timeout' || request.abort.reason instanceof RouteTimeout)
    cluster.reportTimeout(host);
  const flag = FLAGS[error.failure];
  if (flag !== undefined && !request.context.flags.includes(flag)) request.context.flags.push(flag);
}

const FLAGS: Readonly<Record<TransportFailure, ResponseFlag | undefined>> = {
  connect: 'UF',
  reset: 'UC',
  refused: 'UR',
  protocol: 'UPE',
  'per-try-timeout': undefined,
  aborted: undefined,
};

function sendWithin(
  cluster: ClusterRuntime,
  host: Host,
  request: Request,
  timeoutMs: number,
  clock: Clock,
): Promise<Response> {
  const abort = new Abort();
  const unlink = request.abort.onAbort((reason) => abort.abort(reason));
  return new Promise((resolve, reject) => {
    const timer = clock.schedule(timeoutMs, () => {
      const cause = new Error(`per-try timeout of ${timeoutMs} ms`);
      reject(new TransportError('per-try-timeout', true, cause));
      abort.abort(cause);
    });
    cluster.send(host, { ...request, abort }).then(
      (response) => {
        // Envoy: the timer covers the attempt up to its last byte unless the answer already went on; from the
        // response head on, the route's timeout alone governs.
        timer.cancel();
        response.completion.onEnd(unlink);
        resolve(response);
      },
      (error: unknown) => {
        timer.cancel();
        unlink();
        reject(error);
      },
    );
  });
}

/** Notes the attempt on the exchange and tells whoever listens. */
function tell(
  cluster: ClusterRuntime,
  host: Host,
  request: Request,
  startMs: number,
  status: number | undefined,
  error: unknown,
  tools: AttemptTools,
): void {
  const { context } = request;
  const one: Attempt = {
    number: context.attemptCount,
    host: host.address,
    chosenBy: isOverride(context, host) ? 'override-host' : cluster.config.lbPolicy.kind,
    startMs,
    status,
    error,
    durationMs: tools.clock.now() - startMs,
  };
  if (context.attempts === undefined) context.attempts = [one];
  else context.attempts.push(one);
  tools.observer.attempt?.(request, one, cluster.name);
}

/** The first attempt went to the host that a filter asked for. */
function isOverride({ attemptCount, overrideHost }: Exchange, host: Host): boolean {
  return attemptCount === 1 && overrideHost?.address === host.address;
}
