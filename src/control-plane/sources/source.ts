import type { ConfigInput } from '../documents/file-reader.js';

/** Where a source puts what it has. */
export interface ConfigSink {
  /** Everything the source has now, in place of what it gave before. */
  propose(source: string, input: ConfigInput): unknown;
}

/** Supplies configuration and tells of changes. */
export interface ConfigSource {
  /**
   * Proposes what there is, and again on each change, until the signal aborts; then it settles, with everything closed.
   * What cannot be read is proposed as a violation; only a mistake in the program rejects.
   */
  run(sink: ConfigSink, signal: AbortSignal): Promise<void>;
}
