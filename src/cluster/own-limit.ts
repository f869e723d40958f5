import type { TransportError } from './transport.js';

/** Whether the caller or one of our own time limits ended the attempt. */
export function isOwnLimit({ failure }: TransportError): boolean {
  return (
    failure === 'aborted' ||
    failure === 'per-try-timeout' ||
    failure === 'per-try-idle-timeout' ||
    failure === 'stream-duration'
  );
}
