import type { TcpTunnel } from '../model/tcp-proxy.js';
import type { Unsubscribe } from '../runtime/abort.js';
import type { Stalls } from '../runtime/stalls.js';
import type { RawConnection } from '../service/connection.js';
import type { Permits } from './breaker.js';
import type { ConnectionPermits } from './connection-permits.js';
import type { Host } from './host.js';
import type { OutlierMonitor } from './outlier/monitor.js';
import type { DialDone } from './transport.js';

/** What of its cluster a connection needs. */
export interface DialTools {
  readonly permits: Pick<ConnectionPermits, 'tryOpen' | 'closed'>;
  readonly outliers: OutlierMonitor | undefined;
  readonly stalls: Stalls | undefined;
  /** Connections to each host at most. */
  readonly maxPerHost: number;
  /** What the host is asked to carry it to; undefined = it is the other end. */
  readonly tunnel: TcpTunnel | undefined;
}

/** Counts connections as requests. */
export function streamPermits(requests: Permits): DialTools['permits'] {
  return { tryOpen: () => requests.tryAcquire(), closed: () => requests.release() };
}

const openTo = new WeakMap<Host, number>();

/**
 * Opens a connection that carries what its user likes, and counts it until it is closed. Undefined when the circuit
 * breaker lets none be opened.
 */
export function dialHost(host: Host, tools: DialTools, done: DialDone): Unsubscribe | undefined {
  const { permits, maxPerHost } = tools;
  // Envoy asks the breaker itself: a TCP connection never waits for another one's end.
  if ((openTo.get(host) ?? 0) >= maxPerHost || !permits.tryOpen(1)) return undefined;
  count(host, 1);
  const dial = host.enterConnection();
  const release = () => {
    count(host, -1);
    permits.closed();
    host.leave();
  };
  if (dial === undefined) {
    let isWanted = true;
    queueMicrotask(() => {
      if (!isWanted) return;
      release();
      done(new Error('this transport opens no connections of its own'));
    });
    return () => {
      if (isWanted) release();
      isWanted = false;
    };
  }
  return begin(host, dial, tools, { release, done });
}

interface Ends {
  readonly release: () => void;
  readonly done: DialDone;
}

function begin(
  host: Host,
  dial: NonNullable<ReturnType<Host['enterConnection']>>,
  { outliers, stalls, tunnel }: DialTools,
  { release, done }: Ends,
): Unsubscribe {
  const mark = stalls?.watch() ?? 0;
  let isPending = true;
  const settle = () => {
    isPending = false;
    stalls?.unwatch();
  };
  const giveUp = dial((error, socket, peerId) => {
    // What took long while nobody here looked says nothing about the host.
    const isOurs = stalls !== undefined && stalls.since(mark) > 0;
    settle();
    if (socket === undefined) {
      release();
      host.tally.errors++;
      if (!isOurs) outliers?.reportLocalOrigin(host, 'connect-failure');
    } else {
      host.tally.successes++;
      outliers?.reportLocalOrigin(host, 'connect-success-final');
      onceClosed(socket, release);
    }
    done(error, socket, peerId);
  }, tunnel);
  return () => {
    if (!isPending) return;
    settle();
    release();
    giveUp();
  };
}

function onceClosed(socket: RawConnection, release: () => void): void {
  if (socket.closed) release();
  else socket.once('close', release);
}

function count(host: Host, by: number): void {
  openTo.set(host, (openTo.get(host) ?? 0) + by);
}
