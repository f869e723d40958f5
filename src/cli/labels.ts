/** Labels from `key=value`, several of them with commas between. */
export function labelsOf(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts
      .flatMap((text) => text.split(','))
      .filter((text) => text !== '')
      .map((text) => {
        const at = text.indexOf('=');
        return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
      }),
  );
}
