import { randomUUID } from 'node:crypto';
import type { Exchange, ExchangeTiming } from '../context.js';
import { invalidFormat } from './format-error.js';
import { type CommandType, type FormatGetter, type FormatInput, type FormatTools, plain } from './input.js';
import { formatFlags } from './response-flags.js';
import { compileTimeFormat } from './time-format.js';

const DEFAULT_TIME = '%Y-%m-%dT%H:%M:%E3SZ';

/** Calendar time of a monotonic time, milliseconds. */
function wallOf(monotonicMs: number, { clock }: FormatTools): number {
  return clock.wallTime() - (clock.now() - monotonicMs);
}

function startTime(local: boolean): CommandType {
  return {
    argument: 'optional',
    length: false,
    make: (argument, tools) => {
      const format = compileTimeFormat(argument || DEFAULT_TIME, local);
      return ({ exchange }) => format(wallOf(exchange.startMs, tools));
    },
  };
}

function emitTime(local: boolean): CommandType {
  return {
    argument: 'optional',
    length: false,
    make: (argument, { clock }) => {
      const format = compileTimeFormat(argument || DEFAULT_TIME, local);
      return () => format(clock.wallTime());
    },
  };
}

type Point = (input: FormatInput) => number | undefined;

const timing =
  (name: keyof ExchangeTiming): Point =>
  ({ exchange }) =>
    exchange.timing?.[name];

const start: Point = ({ exchange }) => exchange.startMs;
const end: Point = ({ endMs }) => endMs;

/** Envoy's names of the moments of an exchange, for COMMON_DURATION. */
const POINTS: ReadonlyMap<string, Point> = new Map<string, Point>([
  ['DS_RX_BEG', start],
  ['DS_RX_END', timing('requestEndMs')],
  ['US_CX_BEG', timing('attemptStartMs')],
  ['US_CX_END', timing('attemptStartMs')],
  ['US_TX_BEG', timing('attemptStartMs')],
  ['US_TX_END', timing('requestEndMs')],
  ['US_RX_BEG', timing('responseStartMs')],
  ['US_RX_BODY_BEG', timing('responseStartMs')],
  ['US_RX_END', end],
  ['DS_TX_BEG', timing('responseStartMs')],
  ['DS_TX_END', end],
]);

const PRECISIONS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['us', 1_000],
  ['ns', 1_000_000],
]);

/** Whole units between two moments; nothing while one of them is missing. */
function between(from: Point, to: Point, factor = 1): FormatGetter {
  return (input) => {
    const [a, b] = [from(input), to(input)];
    return a === undefined || b === undefined ? undefined : Math.max(0, Math.floor((b - a) * factor));
  };
}

const COMMON_DURATION: CommandType = {
  argument: 'required',
  length: false,
  make: (argument, _tools, format) => {
    const [from = '', to = '', precision = 'ms', ...rest] = argument.split(':');
    const [a, b, factor] = [POINTS.get(from), POINTS.get(to), PRECISIONS.get(precision)];
    if (a === undefined || b === undefined) return invalidFormat(format, 'names an unknown moment');
    if (factor === undefined || rest.length > 0) return invalidFormat(format, 'has an unknown precision');
    return between(a, b, factor);
  },
};

const RESPONSE_CODE_DETAILS: CommandType = {
  argument: 'optional',
  length: false,
  make: (argument, _tools, format) => {
    if (argument !== '' && argument !== 'ALLOW_WHITESPACES') {
      return invalidFormat(format, 'has a RESPONSE_CODE_DETAILS other than ALLOW_WHITESPACES');
    }
    const keeps = argument !== '';
    return ({ exchange, response }) => {
      const details = exchange.details ?? (response === undefined ? undefined : 'via_upstream');
      return keeps ? details : details?.replaceAll(/\s/g, '_');
    };
  },
};

const ENVIRONMENT: CommandType = {
  argument: 'required',
  length: true,
  make: (argument, { env }) => {
    const [name = '', ...fallback] = argument.split(':');
    const value = env[name] ?? (fallback.length === 0 ? undefined : fallback.join(':'));
    return () => value;
  },
};

const of = (read: (exchange: Exchange) => unknown): CommandType => plain(({ exchange }) => read(exchange));

/** Commands about the exchange: times, sizes, flags, names. */
export const EXCHANGE_COMMANDS: Readonly<Record<string, CommandType>> = {
  START_TIME: startTime(false),
  START_TIME_LOCAL: startTime(true),
  EMIT_TIME: emitTime(false),
  EMIT_TIME_LOCAL: emitTime(true),
  DURATION: plain(between(start, end)),
  REQUEST_DURATION: plain(between(start, timing('requestEndMs'))),
  REQUEST_TX_DURATION: plain(between(start, timing('requestEndMs'))),
  RESPONSE_DURATION: plain(between(start, timing('responseStartMs'))),
  RESPONSE_TX_DURATION: plain(between(timing('responseStartMs'), end)),
  ROUNDTRIP_DURATION: plain(() => undefined),
  DOWNSTREAM_HANDSHAKE_DURATION: plain(() => undefined),
  UPSTREAM_CONNECTION_POOL_READY_DURATION: plain(() => undefined),
  COMMON_DURATION,
  PROTOCOL: of(({ protocol }) => protocol),
  RESPONSE_CODE: plain(({ response }) => response?.status ?? 0),
  RESPONSE_CODE_DETAILS,
  RESPONSE_FLAGS: of(({ flags }) => (flags.length === 0 ? undefined : formatFlags(flags))),
  RESPONSE_FLAGS_LONG: of(({ flags }) => (flags.length === 0 ? undefined : formatFlags(flags, 'long'))),
  CONNECTION_TERMINATION_DETAILS: plain(() => undefined),
  BYTES_RECEIVED: of(({ requestBytes }) => requestBytes),
  BYTES_SENT: of(({ responseBytes }) => responseBytes),
  DOWNSTREAM_WIRE_BYTES_RECEIVED: of(({ requestBytes }) => requestBytes),
  DOWNSTREAM_WIRE_BYTES_SENT: of(({ responseBytes }) => responseBytes),
  DOWNSTREAM_HEADER_BYTES_RECEIVED: plain(() => 0),
  DOWNSTREAM_HEADER_BYTES_SENT: plain(() => 0),
  UPSTREAM_WIRE_BYTES_RECEIVED: of(({ responseBytes }) => responseBytes),
  UPSTREAM_WIRE_BYTES_SENT: of(({ requestBytes }) => requestBytes),
  UPSTREAM_HEADER_BYTES_RECEIVED: plain(() => 0),
  UPSTREAM_HEADER_BYTES_SENT: plain(() => 0),
  ROUTE_NAME: of(({ routeName }) => routeName || undefined),
  VIRTUAL_CLUSTER_NAME: of(({ virtualClusterName }) => virtualClusterName),
  FILTER_CHAIN_NAME: of(({ values }) => values?.get('envoy.filter_chain_name')),
  CUSTOM_FLAGS: plain(() => undefined),
  UNIQUE_ID: plain(() => randomUUID()),
  HOSTNAME: {
    argument: 'none',
    length: false,
    make:
      (_argument, { hostname }) =>
      () =>
        hostname,
  },
  ENVIRONMENT,
};
