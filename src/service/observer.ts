import type { Attempt, Exchange } from './context.js';
import type { Request, Response } from './service.js';

/** How one exchange ended. */
export interface ExchangeEnd {
  /** Status sent to the caller; 0 when it got an error instead. */
  readonly status: number;
  readonly error: unknown;
  readonly durationMs: number;
  readonly response: Response | undefined;
}

/** Hears what happened and can't change it. The core never names Prometheus or OpenTelemetry. */
export interface Observer {
  /** An exchange is over: its body and trailers are through, or it failed. */
  exchange?(request: Request, end: ExchangeEnd): void;
  /** One attempt got its response head, or failed. */
  attempt?(request: Request, attempt: Attempt, clusterName: string): void;
  /** A TCP connection through the mesh was opened, or is over. */
  connection?(event: ConnectionEvent): void;
  /** A host was ejected or taken back by outlier detection. */
  ejected?(event: EjectionEvent): void;
  /** Active health checks say something about a host. */
  health?(event: HealthEvent): void;
  /** A configuration snapshot is in force. */
  applied?(event: AppliedEvent): void;
  /** A resource was refused (NACK) or could not be used. */
  rejected?(event: RejectedEvent): void;
}

/** A TCP connection began or ended; both come for each, also when it never reached an endpoint. */
export interface ConnectionEvent {
  readonly kind: 'opened' | 'closed';
  /** What is known about it: direction, cluster, endpoint, peer, flags. The same object in both events. */
  readonly context: Exchange;
  /** What ran through it so far. The same object in both events, and up to date whenever it is read. */
  readonly bytes: ConnectionBytes;
  /** Why it ended, when it was not closed in order. */
  readonly error: unknown;
  readonly durationMs: number;
}

/** Bytes of a TCP connection as its proxy would see them. */
export interface ConnectionBytes {
  /** From who opened it. */
  readonly received: number;
  /** To who opened it. */
  readonly sent: number;
}

/** Outlier detection took a host out or put it back. */
export interface EjectionEvent {
  readonly cluster: string;
  readonly host: string;
  readonly action: 'eject' | 'uneject';
  /** Envoy's name of the detector, e.g. `Consecutive5xx`; `Degraded` when the host stays in at a lower rank. */
  readonly type: string;
  /** False when the enforcing percentage let it pass. */
  readonly enforced: boolean;
  /** How often this host was ejected so far. */
  readonly ejections: number;
  /** Since the last return when it is ejected, since the last ejection when it returns. */
  readonly sinceLastActionMs: number | undefined;
  /** What success rate and failure percentage went by: the host's rate, and the cluster's mean and threshold. */
  readonly successRate:
    | { readonly host: number; readonly average: number; readonly threshold: number }
    | undefined;
}

/** An active health check changed what is held of a host, or went as such checks are to be told of. */
export interface HealthEvent {
  readonly cluster: string;
  readonly host: string;
  /** Kind of check: `http`. */
  readonly checker: string;
  /**
   * `ejected`/`added`: the host failed or passed its threshold. `degraded`/`undegraded`: it said so by
   * `x-envoy-degraded`. `failed`: the first check failed, or any with `always_log_health_check_failures`. `passed`: a
   * check that changed nothing, with `always_log_health_check_success`.
   */
  readonly event: 'ejected' | 'added' | 'degraded' | 'undegraded' | 'failed' | 'passed';
  /** Whether this was the first result of the host. */
  readonly firstCheck: boolean;
  /** Envoy's name of the failure; undefined when the check passed. */
  readonly failure: 'ACTIVE' | 'PASSIVE' | 'NETWORK' | 'NETWORK_TIMEOUT' | undefined;
  /** Why it failed, in one line; empty when it passed. */
  readonly message: string;
}

/** A configuration snapshot took effect. */
export interface AppliedEvent {
  /** Monotonic milliseconds. */
  readonly atMs: number;
  readonly listeners: number;
  readonly clusters: number;
  readonly endpoints: number;
  /** True while the snapshot comes from the last-known-good cache. */
  readonly stale: boolean;
}

/** A resource of the control plane was refused. */
export interface RejectedEvent {
  readonly typeUrl: string;
  readonly name: string;
  /** What is wrong, with the field path. */
  readonly message: string;
}

/** One observer that tells several. What one of them throws goes to `onError` and reaches nobody else. */
export function combineObservers(
  observers: readonly Observer[],
  onError: (error: unknown) => void = () => {},
): Observer {
  const exchange = fanOut(observers, 'exchange', onError);
  const attempt = fanOut(observers, 'attempt', onError);
  const connection = fanOut(observers, 'connection', onError);
  return {
    ...(exchange !== undefined && { exchange }),
    ...(attempt !== undefined && { attempt }),
    ...(connection !== undefined && { connection }),
    ejected: fanOut(observers, 'ejected', onError) ?? nothing,
    health: fanOut(observers, 'health', onError) ?? nothing,
    applied: fanOut(observers, 'applied', onError) ?? nothing,
    rejected: fanOut(observers, 'rejected', onError) ?? nothing,
  };
}

function nothing(): void {}

type Told = (...facts: readonly never[]) => void;

/** One function that calls a method of every observer that has it; no closure is made when it is called. */
function fanOut<K extends keyof Observer>(
  observers: readonly Observer[],
  name: K,
  onError: (error: unknown) => void,
): NonNullable<Observer[K]> | undefined {
  const all = observers.flatMap((observer) => {
    const method: Told | undefined = observer[name];
    return method === undefined ? [] : [method.bind(observer)];
  });
  if (all.length === 0) return undefined;
  const tell = (a: never, b: never, c: never): void => {
    for (const one of all) {
      try {
        one(a, b, c);
      } catch (error) {
        onError(error);
      }
    }
  };
  // No method of Observer takes more than three arguments.
  return tell as NonNullable<Observer[K]>;
}
