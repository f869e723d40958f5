/** Whether the bytes hold the texts one after the other, with anything in between (Envoy's payload match). */
export function containsInOrder(bytes: Buffer, texts: readonly Buffer[]): boolean {
  let from = 0;
  for (const text of texts) {
    const found = bytes.indexOf(text, from);
    if (found < 0) return false;
    from = found + text.length;
  }
  return true;
}

/** The bytes of a text in hex. */
export function fromHex(hex: string): Buffer {
  return Buffer.from(hex, 'hex');
}
