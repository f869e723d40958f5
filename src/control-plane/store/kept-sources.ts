import type { ConfigInput } from '../documents/file-reader.js';
import { STORE_SOURCE } from './store-source.js';

/** A text of a source as it is in force now; null = it is gone. */
export interface KeptText {
  readonly source: string;
  readonly file: string;
  readonly content: string | null;
}

/** The texts of other sources than the store as they were in force last, as far as the journal has them. */
export class KeptSources {
  readonly #files = new Map<string, Map<string, string>>();

  constructor(texts: Iterable<KeptText>) {
    this.take(texts);
  }

  /** What each source had. */
  get inputs(): ReadonlyMap<string, ConfigInput> {
    return new Map(
      [...this.#files].map(([source, files]) => [
        source,
        { files: [...files].map(([file, content]) => ({ file, content })) },
      ]),
    );
  }

  get texts(): readonly KeptText[] {
    return [...this.#files].flatMap(([source, files]) =>
      [...files].map(([file, content]) => ({ source, file, content })),
    );
  }

  /** What of the content in force is not what is kept. */
  differences(inForce: ReadonlyMap<string, ConfigInput>): readonly KeptText[] {
    const found: KeptText[] = [];
    for (const [source, { files }] of inForce) {
      if (source === STORE_SOURCE) continue;
      const known = this.#files.get(source);
      const names = new Set<string>();
      for (const { file, content } of files) {
        const text = typeof content === 'string' ? content : DECODER.decode(content);
        names.add(file);
        if (known?.get(file) !== text) found.push({ source, file, content: text });
      }
      for (const file of known?.keys() ?? [])
        if (!names.has(file)) found.push({ source, file, content: null });
    }
    return found;
  }

  take(texts: Iterable<KeptText>): void {
    for (const { source, file, content } of texts) {
      const files = this.#files.get(source) ?? new Map<string, string>();
      if (content === null) files.delete(file);
      else files.set(file, content);
      if (files.size > 0) this.#files.set(source, files);
      else this.#files.delete(source);
    }
  }
}

/** What is in force was decoded so already. */
const DECODER = new TextDecoder('utf-8');
