/** How much a log line matters. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Where inmesh writes what it has to say; pino, winston and console fit in. */
export interface Logger {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** A logger that says nothing: the default of the library. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** One line of text per message, for people: `inmesh warn message key=value`. */
export function createTextLogger(write: (line: string) => void, level: LogLevel = 'info'): Logger {
  const at = (own: LogLevel) => (fields: Readonly<Record<string, unknown>>, message: string) => {
    if (RANK[own] < RANK[level]) return;
    const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${show(value)}`);
    write(`inmesh ${own} ${message}${rest.join('')}\n`);
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

function show(value: unknown): string {
  const text =
    value instanceof Error ? value.message : typeof value === 'string' ? value : JSON.stringify(value);
  return text === undefined ? 'undefined' : /[\s"]/.test(text) ? JSON.stringify(text) : text;
}
