import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { createTextLogger, type Logger, type LogLevel, silentLogger } from './log.js';

/** What the process around us says: environment, application, directories. */
export interface ProcessSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly packageInfo: { readonly name?: string | undefined; readonly version?: string | undefined };
  readonly userCacheDir: string;
  readonly instance: string;
  readonly readFile: (path: string) => string;
}

/** Reads the surroundings of this process once. */
export function surroundings(): ProcessSurroundings {
  const { env } = process;
  return {
    env,
    packageInfo: nearestPackage(dirname(process.argv[1] ?? join(process.cwd(), 'x'))),
    userCacheDir: join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'inmesh'),
    // Two processes may share a host name and a pid (containers).
    instance: `${process.pid}-${randomBytes(3).toString('hex')}`,
    readFile: (path) => readFileSync(path, 'utf8'),
  };
}

/** What log formats may show of this process: its environment and the name of its machine. */
export function processNames(): Pick<ProcessSurroundings, 'env'> & { readonly hostname: string } {
  return { env: process.env, hostname: hostname() };
}

/** The logger of an application that gave none: text on stderr at `INMESH_LOG_LEVEL`, by default warnings and errors. */
export function defaultLogger(env: Readonly<Record<string, string | undefined>> = process.env): Logger {
  const wanted = env['INMESH_LOG_LEVEL'];
  if (wanted === 'silent') return silentLogger;
  const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
  const level = levels.find((one) => one === wanted) ?? 'warn';
  return createTextLogger((line) => process.stderr.write(line), level);
}

function nearestPackage(from: string): ProcessSurroundings['packageInfo'] {
  for (let dir = from; ; dir = dirname(dir)) {
    try {
      const parsed: unknown = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
      if (typeof parsed !== 'object' || parsed === null) return {};
      const { name, version } = parsed as { name?: unknown; version?: unknown };
      return {
        name: typeof name === 'string' ? name : undefined,
        version: typeof version === 'string' ? version : undefined,
      };
    } catch {
      // No package.json here, or none that can be read: look further up.
      if (dirname(dir) === dir) return {};
    }
  }
}
