import { Abort } from '../../runtime/abort.js';
import type { Clock } from '../../runtime/clock.js';
import { EMPTY_BODY } from '../../service/body.js';
import { createExchange, type Exchange } from '../../service/context.js';
import type { ConnectionLogger } from '../../service/exchange-logger.js';
import { HeaderMap } from '../../service/headers.js';
import type { ConnectionBytes, ConnectionEvent, Observer } from '../../service/observer.js';
import type { Request } from '../../service/service.js';

/** What sessions tell of themselves with. */
export interface SessionTools {
  readonly clock: Clock;
  readonly observer: Observer;
}

/** One connection as telemetry sees it: opened once, closed once, with its access log. */
export class TcpSession {
  readonly context: Exchange;
  readonly #bytes: ConnectionBytes;
  readonly #tools: SessionTools;
  #isOpen = false;
  #isClosed = false;

  constructor(context: Exchange, bytes: ConnectionBytes, tools: SessionTools) {
    this.context = context;
    this.#bytes = bytes;
    this.#tools = tools;
  }

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#tell('opened', undefined);
  }

  close(error: unknown, log: ConnectionLogger | undefined): void {
    if (this.#isClosed) return;
    this.open();
    this.#isClosed = true;
    const { context } = this;
    context.requestBytes = this.#bytes.received;
    context.responseBytes = this.#bytes.sent;
    this.#tell('closed', error);
    log?.(context, this.#tools.clock.now());
  }

  #tell(kind: ConnectionEvent['kind'], error: unknown): void {
    const { clock, observer } = this.#tools;
    const durationMs = clock.now() - this.context.startMs;
    observer.connection?.({ kind, context: this.context, bytes: this.#bytes, error, durationMs });
  }
}

/** Where a connection shall go. */
export interface Destination {
  readonly host: string;
  readonly port: number;
  /** The host, when it is an IP address. */
  readonly ip: string | undefined;
}

/**
 * A connection in the form that hosts are picked by and HTTP routes matched: CONNECT asks for nothing but a host and port.
 */
export function connectionRequest(
  { host, port, ip }: Destination,
  startMs: number,
  draw: number,
  filterState: Readonly<Record<string, string>> = {},
): Request {
  const context = createExchange('outbound', startMs, draw);
  const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  context.destination = authority;
  context.destinationPort = port;
  context.destinationIp = ip;
  const state = Object.entries(filterState);
  if (state.length > 0) context.filterState = new Map(state);
  return {
    method: 'CONNECT',
    scheme: 'http',
    authority,
    path: '/',
    headers: HeaderMap.empty(),
    body: EMPTY_BODY,
    abort: new Abort(),
    context,
  };
}
