import type { ConfigText } from './config-file.js';

/** Documents of one text: well below the caps of a file. */
const MAX_CHARACTERS = 250_000;

/**
 * Documents that a program made as texts for whatever reads texts. `name` stands for a file in complaints, which tell the
 * document and the field instead of a line.
 */
export function documentTexts(name: string, documents: readonly object[]): readonly ConfigText[] {
  const texts: ConfigText[] = [];
  let pending: string[] = [];
  let size = 0;
  const flush = (): void => {
    if (pending.length > 0) texts.push({ file: name, content: pending.join('\n---\n'), part: texts.length });
    pending = [];
    size = 0;
  };
  for (const document of documents) {
    // JSON is YAML.
    const text = JSON.stringify(document);
    if (size + text.length > MAX_CHARACTERS) flush();
    pending.push(text);
    size += text.length;
  }
  flush();
  return texts;
}
