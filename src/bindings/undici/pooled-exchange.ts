import type { Dispatcher } from 'undici';

/** A request that a pool carries: what undici sends, and the handler that hears of it. */
export interface PooledExchange {
  /** What undici sends; `impliedHost` is the Host header that it writes when the options have none. */
  options(impliedHost: string): Dispatcher.DispatchOptions;
  readonly handler: Dispatcher.DispatchHandler;
  /** Why it can't be sent on any connection; asked before it waits for one. */
  refusal(): Error | undefined;
  /** Whether nobody waits for it any more. */
  readonly isOver: boolean;
  /** No connection could be made for it. */
  failed(error: Error): void;
  /** Set by the pool: the exchange releases it once it needs its connection no longer. */
  lease: Lease | undefined;
}

/** A connection that an exchange holds. */
export interface Lease {
  /** Whether it carried another exchange before: its server may have closed it as idle meanwhile. */
  readonly isReused: boolean;
  release(): void;
  /** Instead of a release, when the connection broke: sends the exchange once more, on a new connection. */
  sendAgain(): void;
}
