import { ADMIN_HEADERS, safeJson } from '../../runtime/admin-request.js';
import type { Timer } from '../../runtime/clock.js';
import type { HistoryEntry } from '../store/history.js';
import { nameOf } from './config-requests.js';
import type { AdminRequest, Answer } from './http.js';
import type { AdminOptions } from './options.js';

/** Connections that nobody closes in between must show that they stand. */
const HEARTBEAT_MS = 15_000;
/** Who reads nothing does not fill the memory. */
const MAX_WAITING_BYTES = 1024 * 1024;

/**
 * Changes as server-sent events: `config` for a revision (its id), `rejected`, `held`. `Last-Event-ID` resumes behind a
 * revision; when that is too old to tell what was missed, `reset` comes first, and the client reads everything anew.
 * With `kind` and `namespace` only revisions that concern these. It ends when the caller may not read any more.
 */
export function streamEvents(
  { lastEventId, query, isStillAllowed }: AdminRequest,
  { config, clock }: AdminOptions,
): Answer {
  const concerned = filterOf(query);
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
      const sendEntry = (one: HistoryEntry | string) => {
        const told = typeof one === 'string' ? one : concerned(one);
        if (told !== undefined) send(typeof told === 'string' ? told : configEvent(told));
      };
      send(`retry: 1000\n\n`);
      for (const one of missed(history.entries, lastEventId, config.revision)) sendEntry(one);
      const stops = [
        store.onChange(({ before, after }) => {
          if (before.revision === after.revision) return;
          // The history hears of it in the same turn, whoever is told first.
          queueMicrotask(() => {
            const entry = history.entries.findLast(({ revision }) => revision === after.revision);
            if (entry !== undefined) sendEntry(entry);
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
        isStillAllowed().then(
          (isAllowed) => !isAllowed && response.end(),
          () => response.end(),
        );
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
): readonly (HistoryEntry | string)[] {
  if (lastEventId === undefined) return [event('hello', { revision }, revision)];
  const seen = Number(lastEventId);
  const later = entries.filter((one) => one.revision > seen);
  const oldest = entries[0]?.revision ?? revision + 1;
  const isKnown = Number.isInteger(seen) && seen <= revision && (seen >= oldest - 1 || later.length === 0);
  return isKnown ? later : [event('reset', { revision }, revision)];
}

/** What of an entry is about the wanted objects; undefined when nothing is. */
function filterOf(query: URLSearchParams): (entry: HistoryEntry) => HistoryEntry | undefined {
  const wanted = query.get('kind');
  const kind = wanted === null ? undefined : nameOf(wanted, '', '').kind;
  const namespace = query.get('namespace');
  if (kind === undefined && namespace === null) return (entry) => entry;
  return (entry) => {
    // What was too much to keep may concern everybody.
    if (entry.changes === undefined) return entry;
    const changes = entry.changes.filter(
      (one) =>
        (kind === undefined || one.kind === kind) && (namespace === null || one.namespace === namespace),
    );
    return changes.length === 0 ? undefined : { ...entry, changes, changeCount: changes.length };
  };
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
