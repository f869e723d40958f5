import { isIPv4, isIPv6 } from 'node:net';

/** The 4 or 16 bytes of an address; undefined when the text is none. A zone (`%eth0`) is left out. */
export function parseIp(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number);
  if (!isIPv6(text)) return undefined;
  const [address = ''] = text.split('%');
  const [head = '', tail] = address.split('::');
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const bytes = new Uint8Array(16);
  bytes.set(before);
  bytes.set(after, 16 - after.length);
  return bytes;
}

/** The bytes of colon-separated groups; the last may be an IPv4 address. */
function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** The text of 4 or 16 bytes; IPv6 with its longest run of zero groups left out (RFC 5952). */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  const run = longestZeroRun(words);
  const text = (part: readonly number[]) => part.map((word) => word.toString(16)).join(':');
  if (run.length < 2) return text(words);
  return `${text(words.slice(0, run.start))}::${text(words.slice(run.start + run.length))}`;
}

function longestZeroRun(words: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  words.forEach((word, index) => {
    length = word === 0 ? length + 1 : 0;
    if (length > best.length) best = { start: index - length + 1, length };
  });
  return best;
}

/** A copy with all bits after the prefix cleared. */
export function maskIp(bytes: Uint8Array, prefixLength: number): Uint8Array {
  return bytes.map((byte, index) => byte & prefixByte(prefixLength, index));
}

/** The bits of the byte at `index` that belong to a prefix of this length. */
function prefixByte(prefixLength: number, index: number): number {
  const bits = Math.min(8, Math.max(0, prefixLength - 8 * index));
  return (0xff00 >> bits) & 0xff;
}

/** The network that a range of addresses is, whatever address of it names it: `10.0.0.0/8`, each byte in decimal. */
export function networkOf({ address, bits }: { readonly address: string; readonly bits: number }): string {
  const bytes = parseIp(address);
  return bytes === undefined ? `${address}/${bits}` : `${maskIp(bytes, bits).join('.')}/${bits}`;
}
