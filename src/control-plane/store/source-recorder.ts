import type { Clock } from '../../runtime/clock.js';
import { messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { ConfigChange, ConfigStore } from './config-store.js';
import { differences, type History, type HistoryEntry, keptChanges } from './history.js';
import type { Journal } from './journal.js';
import type { KeptSources } from './kept-sources.js';
import { STORE_SOURCE } from './store-source.js';

export interface RecorderTools {
  readonly store: ConfigStore;
  readonly history: History;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where it is written down; undefined = nowhere, or somebody else does. */
  readonly journal: () => Journal | undefined;
  readonly kept: () => KeptSources;
  /** A record was written. */
  readonly written: () => void;
}

/**
 * Writes down what other sources than the store change: for the history, and so that the next process knows what was in
 * force. Nobody was told that it is on the disk, so that it need not wait for it: what is lost with the power, the next
 * process finds out by itself, since the files are still there.
 */
export function recordSources(tools: RecorderTools): () => void {
  return tools.store.onChange((change) => {
    const entry = entryOf(change, tools);
    if (entry !== undefined) tools.history.add(entry);
    writeDown(tools, change.after.revision, entry);
  });
}

/** Writes down the texts in force that the journal does not have. */
export function writeDown(tools: RecorderTools, revision: number, entry?: HistoryEntry): void {
  const { journal, kept, store, logger, clock, written } = tools;
  const target = journal();
  if (target === undefined) return;
  const texts = kept().differences(store.inForce);
  if (texts.length === 0 && entry === undefined) return;
  try {
    target.append({ at: clock.wallTime(), ...entry, revision, texts }, { isUrgent: false });
  } catch (error) {
    // The sources are the truth, and the next record has it.
    logger.warn({ error: messageOf(error) }, 'a change of a source could not be written down');
    return;
  }
  kept().take(texts);
  written();
}

function entryOf(
  { source, before, after }: ConfigChange,
  { history, clock }: RecorderTools,
): HistoryEntry | undefined {
  if (source === STORE_SOURCE || before.revision === after.revision) return undefined;
  const found = differences({ before, after });
  for (const one of found) history.setVersion(one, one.now === undefined ? undefined : after.revision);
  const { revision } = after;
  return { revision, at: clock.wallTime(), source, author: source, ...keptChanges(found) };
}
