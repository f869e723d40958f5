import type { Clock } from '../../runtime/clock.js';
import type { Exchange } from '../context.js';
import type { HeaderMap } from '../headers.js';
import type { RequestHead } from '../service.js';

/** What a format reads. Parts that are not there yet leave their operators empty. */
export interface FormatInput {
  readonly request: RequestHead | undefined;
  readonly response: { readonly status: number; readonly headers: HeaderMap } | undefined;
  readonly trailers: HeaderMap | undefined;
  readonly exchange: Exchange;
  /** Monotonic end of the exchange, milliseconds. */
  readonly endMs?: number | undefined;
  /** Body of an answer made here. */
  readonly localReplyBody?: string | undefined;
  /** Envoy's access log type, e.g. `DownstreamEnd`. */
  readonly logType?: string | undefined;
}

/** What formats read besides the exchange. */
export interface FormatTools {
  readonly clock: Pick<Clock, 'now' | 'wallTime'>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly hostname: string;
}

/** The value of a command: undefined when there is none. Strings, numbers, booleans and Struct-like values. */
export type FormatGetter = (input: FormatInput) => unknown;

/** How a command may be written, and how it is made. */
export interface CommandType {
  readonly argument: 'none' | 'optional' | 'required';
  /** Whether `:length` may follow. */
  readonly length: boolean;
  readonly make: (argument: string, tools: FormatTools, format: string) => FormatGetter;
}

/** A command without argument and length. */
export function plain(get: FormatGetter): CommandType {
  return { argument: 'none', length: false, make: () => get };
}
