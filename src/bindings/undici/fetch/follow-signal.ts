import { defaultMaxListeners, getMaxListeners, setMaxListeners } from 'node:events';
import type { Unsubscribe } from '../../../runtime/abort.js';

/** As many requests may share a signal before Node takes it for a leak; undici's number. */
const MAX_LISTENERS = 1500;

/** Calls `listener` once when the signal is aborted. */
export function followSignal(signal: AbortSignal, listener: () => void): Unsubscribe {
  if (getMaxListeners(signal) === defaultMaxListeners) setMaxListeners(MAX_LISTENERS, signal);
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}
