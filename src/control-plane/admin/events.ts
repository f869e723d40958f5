import { ADMIN_HEADERS, safeJson } from '../../runtime/admin-request.js';
import type { Timer } from '../../runtime/clock.js';
import type { HistoryEntry } from '../store/history.js';
import type { AdminRequest, Answer } from './http.js';
import type { AdminOptions } from './options.js';

/** Connections that nobody closes in between must show that they stand. */
const HEARTBEAT_MS = 15_000;
/** Who reads nothing does not fill the memory. */
const MAX_WAITING_BYTES = 1024 * 1024;

/**
 * Changes as server-sent events: `config` for a revision (its id), `rejected`, `held`. `Last-Event-ID` resumes behind a
 * revision; when that is too old to tell what was missed, `reset` comes first, and the client reads everything anew.
 */
export function streamEvents({ lastEventId }: AdminRequest, { config, clock }: AdminOptions): Answer {
  return {
    status: 200,
    stream: (response) => {
      response.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        ...ADMIN_HEADERS,
        connection: 'keep-alive',
      });
      const { store, history } = config;
      const send = (text: string) => {
        if (response.writableLength > MAX_WAITING_BYTES) response.destroy();
        else response.write(text);
      };
      send(`retry: 1000\n\n`);
      for (const text of missed(history.entries, lastEventId, config.revision)) send(text);
      const stops = [
        store.onChange(({ before, after }) => {
          if (before.revision === after.revision) return;
          // The history hears of it in the same turn, whoever is told first.
          queueMicrotask(() => {
            const entry = history.entries.findLast(({ revision }) => revision === after.revision);
            if (entry !== undefined) send(configEvent(entry));
          });
        }),
        store.lastRejected.subscribe((value) => {
          if (value !== undefined) send(event('rejected', { errors: value.violations.length }));
        }),
        store.held.subscribe((value) => {
          if (value !== undefined) send(event('held', { source: value.source, removals: value.removals }));
        }),
      ];
      let timer: Timer | undefined;
      const beat = () => {
        send(': still here\n\n');
        timer = clock.schedule(HEARTBEAT_MS, beat);
      };
      timer = clock.schedule(HEARTBEAT_MS, beat);
      response.on('close', () => {
        timer?.cancel();
        for (const stop of stops) stop();
      });
    },
  };
}

/** What a client that has seen a revision has missed; without one it is told where things stand. */
function missed(
  entries: readonly HistoryEntry[],
  lastEventId: string | undefined,
  revision: number,
): readonly string[] {
  if (lastEventId === undefined) return [event('hello', { revision }, revision)];
  const seen = Number(lastEventId);
  const later = entries.filter((one) => one.revision > seen);
  const oldest = entries[0]?.revision ?? revision + 1;
  const isKnown = Number.isInteger(seen) && seen <= revision && (seen >= oldest - 1 || later.length === 0);
  return isKnown ? later.map(configEvent) : [event('reset', { revision }, revision)];
}

function configEvent({ revision, source, author, message, changes, changeCount }: HistoryEntry): string {
  const named = changes?.map(({ kind, namespace, name, before, after }) => ({
    op: before === undefined ? 'created' : after === undefined ? 'deleted' : 'configured',
    kind,
    namespace,
    name,
  }));
  return event('config', { revision, source, author, message, changeCount, changes: named }, revision);
}

function event(name: string, data: object, id?: number): string {
  return `event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}data: ${safeJson(data)}\n\n`;
}
