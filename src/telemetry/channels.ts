import { type Channel, channel } from 'node:diagnostics_channel';
import type { Observer } from '../service/observer.js';

/** Names of the channels, in the order in which they appear here; they are part of the API. */
export const CHANNELS = {
  /** `{ request, end }`: an exchange is over. */
  exchange: 'inmesh:exchange',
  /** `{ request, attempt, cluster }`: an attempt got its response head, or failed. */
  attempt: 'inmesh:attempt',
  /** A `ConnectionEvent`. */
  connection: 'inmesh:connection',
  /** An `EjectionEvent`. */
  ejected: 'inmesh:ejection',
  /** A `HealthEvent`. */
  health: 'inmesh:health',
  /** An `AppliedEvent`. */
  applied: 'inmesh:config:applied',
  /** A `RejectedEvent`. */
  rejected: 'inmesh:config:rejected',
} as const;

/** Tells `node:diagnostics_channel` what happens. A channel that nobody listens to costs one look at a field. */
export function channelObserver(): Required<
  Pick<Observer, 'exchange' | 'attempt' | 'connection' | 'ejected' | 'health' | 'applied' | 'rejected'>
> {
  const channels: Record<keyof typeof CHANNELS, Channel> = {
    exchange: channel(CHANNELS.exchange),
    attempt: channel(CHANNELS.attempt),
    connection: channel(CHANNELS.connection),
    ejected: channel(CHANNELS.ejected),
    health: channel(CHANNELS.health),
    applied: channel(CHANNELS.applied),
    rejected: channel(CHANNELS.rejected),
  };
  const { exchange, attempt, connection, ejected, health, applied, rejected } = channels;
  return {
    exchange(request, end) {
      if (exchange.hasSubscribers) exchange.publish({ request, end });
    },
    attempt(request, one, cluster) {
      if (attempt.hasSubscribers) attempt.publish({ request, attempt: one, cluster });
    },
    connection: (event) => publish(connection, event),
    ejected: (event) => publish(ejected, event),
    health: (event) => publish(health, event),
    applied: (event) => publish(applied, event),
    rejected: (event) => publish(rejected, event),
  };
}

function publish(to: Channel, event: object): void {
  if (to.hasSubscribers) to.publish(event);
}
