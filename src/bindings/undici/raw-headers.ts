import { HeaderMap } from '../../service/headers.js';

/** The forms in which undici accepts request headers. */
export type UndiciHeaders =
  | readonly string[]
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | PairHeaders
  | null
  | undefined;

type PairHeaders = Iterable<readonly [string, string | readonly string[] | undefined]>;

/** Reads undici's request headers into a map of our own. */
export function readHeaders(headers: UndiciHeaders): HeaderMap {
  if (headers === null || headers === undefined) return HeaderMap.empty();
  if (Array.isArray(headers)) return fromFlat(headers);
  if (Symbol.iterator in headers) return HeaderMap.from(headers as PairHeaders);
  const lines: string[] = [];
  for (const name in headers) {
    const value: unknown = headers[name];
    if (value === undefined) continue;
    if (Array.isArray(value)) for (const one of value) lines.push(name, text(one));
    else lines.push(name, text(value));
  }
  return fromSpelled(lines);
}

/** Keeps the spelling of names for the wire when it is not lower case. */
function fromSpelled(spelled: string[]): HeaderMap {
  let lines = spelled;
  for (let i = 0; i < spelled.length; i += 2) {
    const name = spelled[i] ?? '';
    const lower = name.toLowerCase();
    if (lower === name) continue;
    if (lines === spelled) lines = [...spelled];
    lines[i] = lower;
  }
  return lines === spelled ? HeaderMap.fromLines(lines) : HeaderMap.fromSpelled(lines, spelled);
}

function fromFlat(flat: readonly unknown[]): HeaderMap {
  const lines: string[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    const name = text(flat[i]);
    const value = flat[i + 1];
    if (Array.isArray(value)) for (const one of value) lines.push(name, text(one));
    else lines.push(name, text(value));
  }
  return fromSpelled(lines);
}

function text(piece: unknown): string {
  return typeof piece === 'string'
    ? piece
    : Buffer.isBuffer(piece)
      ? piece.toString('latin1')
      : String(piece);
}

/** Header lines as the Buffers that undici's first generation of handlers expects. */
export function toRawBuffers(headers: HeaderMap): Buffer[] {
  const raw = headers.toRaw();
  // Lines are all text or all bytes; what came from undici and was not touched goes on as it is.
  if (typeof raw[0] === 'object') return raw as Buffer[];
  const out: Buffer[] = new Array(raw.length);
  for (let i = 0; i < raw.length; i++) {
    const piece = raw[i] ?? '';
    out[i] = typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece;
  }
  return out;
}

/** Header lines as the record that undici's second generation of handlers expects. */
export function toRecord(headers: HeaderMap): Record<string, string | string[]> {
  // A null prototype: a header may be called `__proto__`.
  const record: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of headers) {
    const known = record[name];
    if (known === undefined) record[name] = value;
    else if (Array.isArray(known)) known.push(value);
    else record[name] = [known, value];
  }
  return record;
}
