/** Where a command writes: data to `out`, talk to `err`. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
  /** Whether `err` is a terminal that shows colours (`NO_COLOR` turns them off). */
  readonly color: boolean;
  /** Ends what would go on until it is interrupted. */
  readonly stop?: AbortSignal | undefined;
}

/** The terminal. */
export function terminalOutput(): Output {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    // NO_COLOR counts when it is set to anything (https://no-color.org).
    color: process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb',
  };
}

/**
 * What reads our output may end first (`inmesh get | head -1`): that is no error. What goes on until it is told to stop is
 * told so; everything else has nobody left to tell anything.
 */
export function endWithReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      if (process.listenerCount('SIGTERM') > 0) process.kill(process.pid, 'SIGTERM');
      else process.exit(process.exitCode ?? 0);
    });
  }
}

/** The package's own version, put in by the build. */
export { version } from '../runtime/version.js';
