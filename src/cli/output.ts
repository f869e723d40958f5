/** Where a command writes: data to `out`, talk to `err`. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
  /** Whether `err` is a terminal that shows colours (`NO_COLOR` turns them off). */
  readonly color: boolean;
}

/** The terminal. */
export function terminalOutput(): Output {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    color: process.stdout.isTTY && process.env['NO_COLOR'] === undefined,
  };
}

/** The package's own version, put in by the build. */
export { version } from '../runtime/version.js';
