import { type AccessLog, type AccessLogFormat, DEFAULT_ACCESS_LOG_FORMAT } from '../model/access-log.js';
import type { Random } from '../runtime/random.js';
import { Completion } from '../service/completion.js';
import type { ConnectionLogger, ExchangeLogger } from '../service/exchange-logger.js';
import { checkFormat, compileFormat } from '../service/format/format.js';
import type { FormatInput } from '../service/format/input.js';
import { compileJsonFormat } from '../service/format/json-format.js';
import { formatToolsOf } from '../service/format/tools.js';
import { HeaderMap } from '../service/headers.js';
import type { ExchangeEnd } from '../service/observer.js';
import type { Request } from '../service/service.js';
import { compileLogFilter, type LogPredicate } from './access-log-filter.js';
import { type LogSink, type LogSinkTools, openSink } from './log-sink.js';

/** The access log of a process, given in code. */
export interface AccessLogOptions {
  /** A format string of Envoy, or a JSON document whose strings are such. Default Envoy's own text format. */
  readonly format?: string | { readonly [key: string]: unknown };
  /** A path (`/dev/stdout`, `/dev/stderr` for this process's streams), or a function that gets each line. */
  readonly to: string | ((line: string) => void);
}

/**
 * Refuses an access log whose format would not compile.
 * @throws MeshError `INMESH_CONFIG_INVALID`.
 */
export function checkAccessLog({ format = '' }: AccessLogOptions): void {
  if (typeof format === 'string') checkFormat(format);
  else compileJsonFormat(JSON.parse(JSON.stringify(format)), formatToolsOf(NO_CLOCK));
}

const NO_CLOCK = { now: () => 0, wallTime: () => 0 };

export interface AccessLogTools extends LogSinkTools {
  readonly random: Random;
}

interface Writer {
  readonly accepts: LogPredicate | undefined;
  readonly line: (input: FormatInput) => string;
  readonly write: (line: string) => void;
}

/** Makes the loggers of listeners; logs to the same path share one writer. */
export class AccessLogs {
  readonly #tools: AccessLogTools;
  readonly #sinks = new Map<string, LogSink>();
  readonly #own: Writer | undefined;

  constructor(options: AccessLogOptions | undefined, tools: AccessLogTools) {
    this.#tools = tools;
    if (options === undefined) return;
    const { to, format = DEFAULT_ACCESS_LOG_FORMAT } = options;
    const line = this.#line(
      typeof format === 'string'
        ? { kind: 'text', text: format.endsWith('\n') ? format : `${format}\n`, omitEmptyValues: false }
        : // What JSON can't hold becomes what JSON.stringify makes of it.
          { kind: 'json', template: JSON.parse(JSON.stringify(format)), omitEmptyValues: false },
    );
    this.#own = { accepts: undefined, line, write: typeof to === 'function' ? to : this.#writeTo(to) };
  }

  /** The logger of a listener: its configured logs, and the process's own; undefined when there is none. */
  logger(configured: readonly AccessLog[] | undefined): ExchangeLogger | undefined {
    const writers = this.#writers(configured);
    if (writers.length === 0) return undefined;
    const { clock } = this.#tools;
    return {
      begin: (request) => keepMoments(request, () => clock.now()),
      end(request, end) {
        const input = inputAtEnd(request, end);
        for (const { accepts, line, write } of writers) {
          if (accepts === undefined || accepts(input)) write(line(input));
        }
      },
    };
  }

  /** The same for connections of any protocol. */
  connectionLogger(configured: readonly AccessLog[] | undefined): ConnectionLogger | undefined {
    const writers = this.#writers(configured);
    if (writers.length === 0) return undefined;
    return (exchange, endMs) => {
      const input: FormatInput = {
        request: undefined,
        response: undefined,
        trailers: undefined,
        exchange,
        endMs,
        logType: 'TcpConnectionEnd',
      };
      for (const { accepts, line, write } of writers) {
        if (accepts === undefined || accepts(input)) write(line(input));
      }
    };
  }

  /** Writes what waits and closes the files. */
  async close(): Promise<void> {
    await Promise.all([...this.#sinks.values()].map((sink) => sink.close()));
    this.#sinks.clear();
  }

  #writers(configured: readonly AccessLog[] = []): readonly Writer[] {
    const writers = configured.map((log) => this.#writer(log));
    return this.#own === undefined ? writers : [...writers, this.#own];
  }

  #writer({ sink, format, filter }: AccessLog): Writer {
    const path = sink.kind === 'file' ? sink.path : `/dev/${sink.kind}`;
    return {
      accepts: filter && compileLogFilter(filter, this.#tools.random),
      line: this.#line(format),
      write: this.#writeTo(path),
    };
  }

  #line(format: AccessLogFormat): (input: FormatInput) => string {
    const tools = formatToolsOf(this.#tools.clock);
    if (format.kind === 'json') {
      const json = compileJsonFormat(format.template, tools, format.omitEmptyValues);
      return (input) => `${json(input)}\n`;
    }
    const text = compileFormat(format.text, tools, format.omitEmptyValues ? '' : '-');
    return (input) => text.text(input);
  }

  /** The file is opened by the first line. */
  #writeTo(path: string): (line: string) => void {
    return (line) => {
      let sink = this.#sinks.get(path);
      if (sink === undefined) {
        sink = openSink(path, this.#tools);
        this.#sinks.set(path, sink);
      }
      sink.write(line);
    };
  }
}

function keepMoments({ context, body }: Request, now: () => number): void {
  const timing = {
    requestEndMs: undefined as number | undefined,
    attemptStartMs: undefined,
    responseStartMs: undefined,
  };
  context.timing = timing;
  context.protocol ??= 'HTTP/1.1';
  if (body.kind === 'empty' || body.kind === 'bytes') {
    timing.requestEndMs = context.startMs;
    return;
  }
  context.requestSent ??= new Completion();
  context.requestSent.onEnd(() => {
    timing.requestEndMs ??= now();
  });
}

function inputAtEnd(request: Request, { status, durationMs, response }: ExchangeEnd): FormatInput {
  return {
    request,
    response: response ?? (status === 0 ? undefined : { status, headers: HeaderMap.empty() }),
    trailers: response?.completion.end?.trailers,
    exchange: request.context,
    endMs: request.context.startMs + durationMs,
    logType: 'DownstreamEnd',
  };
}
