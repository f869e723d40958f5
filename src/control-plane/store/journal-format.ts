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
  /** A record that can't be read, with whole ones behind it: not a torn end, but damage. */
  readonly damagedAt: number | undefined;
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
  let damagedAt: number | undefined;
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline + 1;
    const value = newline < 0 ? undefined : parseLine(bytes.toString('utf8', start, newline));
    if (value === undefined) damagedAt ??= start;
    else if (damagedAt !== undefined) return { records, goodBytes, damagedAt };
    else {
      records.push({ value: value.value, end });
      goodBytes = end;
    }
    start = end;
  }
  return { records, goodBytes, damagedAt: undefined };
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
