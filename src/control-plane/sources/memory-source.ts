import type { ConfigSink, ConfigSource } from './source.js';

/** A source whose content is set by the program that holds it. */
export interface MemorySource extends ConfigSource {
  /** Replaces the content: YAML text, or objects as YAML would write them. */
  set(content: string | readonly object[]): void;
}

/** Makes a source with the given content; `name` stands for a file name in messages. */
export function createMemorySource(content: string | readonly object[] = [], name = 'memory'): MemorySource {
  let text = textOf(content);
  const sinks = new Set<ConfigSink>();
  const propose = (sink: ConfigSink): void =>
    void sink.propose(name, { files: [{ file: name, content: text }] });
  return {
    set(next) {
      text = textOf(next);
      for (const sink of sinks) propose(sink);
    },
    run(sink, signal) {
      if (signal.aborted) return Promise.resolve();
      sinks.add(sink);
      propose(sink);
      return new Promise((resolve) => {
        const stop = (): void => {
          sinks.delete(sink);
          resolve();
        };
        signal.addEventListener('abort', stop, { once: true });
      });
    },
  };
}

/** JSON is YAML, and one object after the other keeps places readable. */
function textOf(content: string | readonly object[]): string {
  if (typeof content === 'string') return content;
  return content.map((object) => JSON.stringify(object, undefined, 2)).join('\n---\n');
}
