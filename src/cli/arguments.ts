import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../model/duration.js';

/** A port from the command line. */
export function toPort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError('A port is a number from 0 to 65535.');
}

/** A duration of at least a second, in milliseconds. */
export function toDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= 1000) return ms;
  throw new InvalidArgumentError('Write a duration such as 24h, 90s or 10m, at least 1s.');
}
