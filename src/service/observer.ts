import type { Attempt } from './context.js';
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
  /** A host was ejected or taken back by outlier detection. */
  ejected?(event: EjectionEvent): void;
  /** A configuration snapshot is in force. */
  applied?(event: AppliedEvent): void;
  /** A resource was refused (NACK) or could not be used. */
  rejected?(event: RejectedEvent): void;
}

/** Outlier detection took a host out or put it back. */
export interface EjectionEvent {
  readonly cluster: string;
  readonly host: string;
  readonly action: 'eject' | 'uneject';
  /** Envoy's name of the detector, e.g. `Consecutive5xx`. */
  readonly type: string;
  /** False when the enforcing percentage let it pass. */
  readonly enforced: boolean;
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
  const each = (name: keyof Observer, tell: (observer: Observer) => void): void => {
    for (const observer of observers) {
      if (observer[name] === undefined) continue;
      try {
        tell(observer);
      } catch (error) {
        onError(error);
      }
    }
  };
  const hears = (name: keyof Observer) => observers.some((observer) => observer[name] !== undefined);
  return {
    ...(hears('exchange') && {
      exchange: (request, end) => each('exchange', (observer) => observer.exchange?.(request, end)),
    }),
    ...(hears('attempt') && {
      attempt: (request, one, cluster) =>
        each('attempt', (observer) => observer.attempt?.(request, one, cluster)),
    }),
    ejected: (event) => each('ejected', (observer) => observer.ejected?.(event)),
    applied: (event) => each('applied', (observer) => observer.applied?.(event)),
    rejected: (event) => each('rejected', (observer) => observer.rejected?.(event)),
  } satisfies Observer;
}
