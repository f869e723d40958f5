import type { ConfigText } from '../schema/config-file.js';
import { documentTexts } from '../schema/document-texts.js';
import type { ConfigSink, ConfigSource } from './source.js';

/** A source whose content is set by the program that holds it. */
export interface MemorySource extends ConfigSource {
  /** Replaces the content: YAML text, a mesh (`inmesh/config`), or objects as YAML would write them. */
  set(content: string | readonly object[] | DocumentSet): void;
}

/** Documents that belong together, as `defineMesh` of `inmesh/config` makes them. */
export interface DocumentSet {
  readonly documents: readonly object[];
}

/** Makes a source with the given content; `name` stands for a file name in messages. */
export function createMemorySource(
  content: string | readonly object[] | DocumentSet = [],
  name = 'memory',
): MemorySource {
  let files = textsOf(name, content);
  const sinks = new Set<ConfigSink>();
  const propose = (sink: ConfigSink): void => void sink.propose(name, { files });
  return {
    set(next) {
      files = textsOf(name, next);
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
function textsOf(name: string, content: string | readonly object[] | DocumentSet): readonly ConfigText[] {
  if (typeof content === 'string') return [{ file: name, content }];
  if ('documents' in content) return documentTexts(name, content.documents);
  const text = content.map((object) => JSON.stringify(object, undefined, 2)).join('\n---\n');
  return [{ file: name, content: text }];
}
