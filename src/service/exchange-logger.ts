import type { Exchange } from './context.js';
import type { ExchangeEnd } from './observer.js';
import type { Request } from './service.js';

/** Writes access logs of the exchanges of one listener. */
export interface ExchangeLogger {
  /** Before the exchange starts: has the moments kept that formats show. */
  begin(request: Request): void;
  /** When it is over. */
  end(request: Request, end: ExchangeEnd): void;
}

/** Writes access logs of connections that are over; `endMs` is the monotonic time of that. */
export type ConnectionLogger = (context: Exchange, endMs: number) => void;
