const ESCAPE = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3})|([\s\S]?))/g;
const LETTERS: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
};

/** A text without its escapes, which are Go's; undefined = there is one that Go does not know. */
export function unquoted(text: string): string | undefined {
  let isGood = true;
  const plain = text.replace(
    ESCAPE,
    (_, x?: string, u?: string, U?: string, octal?: string, letter?: string) => {
      const code = Number.parseInt(x ?? u ?? U ?? octal ?? '', octal === undefined ? 16 : 8);
      const known = Number.isNaN(code)
        ? LETTERS[letter ?? '']
        : code <= 0x10ffff
          ? String.fromCodePoint(code)
          : undefined;
      isGood &&= known !== undefined;
      return known ?? '';
    },
  );
  return isGood ? plain : undefined;
}
