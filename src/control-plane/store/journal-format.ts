import { createHash } from 'node:crypto';

/** A line that was read back, and where it ends. */
export interface ReadRecord {
  readonly value: unknown;
  /** Offset of the first byte after it. */
  readonly end: number;
}

/** What the bytes of a journal come to. */
export interface JournalContent {
  readonly records: readonly ReadRecord[];
  /** Bytes that hold whole records. What is behind them was cut off while it was written. */
  readonly goodBytes: number;
  /** A record that was written as a whole and can't be read: not a torn end, but damage. */
  readonly damaged: { readonly record: number; readonly at: number } | undefined;
}

const DIGEST_LENGTH = 16;
const NEWLINE = 0x0a;

/** A record as one line: the beginning of the SHA-256 of its JSON, a space, the JSON. */
export function recordLine(value: unknown): Buffer {
  const json = JSON.stringify(value);
  return Buffer.from(`${digestOf(json)} ${json}\n`);
}

/** Reads the lines of a journal. */
export function readJournal(bytes: Buffer): JournalContent {
  const records: ReadRecord[] = [];
  let goodBytes = 0;
  let bad: { readonly record: number; readonly at: number; readonly isTorn: boolean } | undefined;
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline + 1;
    const value = newline < 0 ? undefined : parseLine(bytes.toString('utf8', start, newline));
    if (value === undefined)
      bad ??= { record: records.length + 1, at: start, isTorn: isTorn(bytes.subarray(start, end)) };
    else if (bad !== undefined) return { records, goodBytes, damaged: bad };
    else {
      records.push({ value: value.value, end });
      goodBytes = end;
    }
    start = end;
  }
  return { records, goodBytes, damaged: bad?.isTorn === false ? bad : undefined };
}

/**
 * Whether the last record may have been cut off while it was written, so that nobody was told of it: it has no end, or
 * blocks that the disk never got, which read as zeros. With its end, or with all of its text, it was written.
 */
function isTorn(line: Buffer): boolean {
  if (line.at(-1) === NEWLINE) return line.includes(0);
  return parseLine(line.toString('utf8', 0, line.length - 1)) === undefined;
}

function parseLine(line: string): { readonly value: unknown } | undefined {
  const json = line.slice(DIGEST_LENGTH + 1);
  if (line[DIGEST_LENGTH] !== ' ' || line.slice(0, DIGEST_LENGTH) !== digestOf(json)) return undefined;
  try {
    return { value: JSON.parse(json) };
  } catch {
    return undefined;
  }
}

function digestOf(json: string): string {
  return createHash('sha256').update(json).digest('hex').slice(0, DIGEST_LENGTH);
}
