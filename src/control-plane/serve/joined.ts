import type { Outgoing } from './channel.js';

/** What is shorter is joined faster than it is found. */
const LONG = 16 * 1024;
const SHORT = 1024;

interface Joined {
  /** The other pieces, as text. */
  readonly around: string;
  readonly message: Buffer;
}

const known = new WeakMap<Uint8Array, Joined>();

/** A message in one piece. Clients in the same position are sent the same bytes, which are joined once. */
export function joined(pieces: Outgoing): Buffer {
  let long: Uint8Array | undefined;
  let rest = 0;
  for (const piece of pieces) {
    if (long === undefined && piece.length >= LONG) long = piece;
    else rest += piece.length;
  }
  if (long === undefined || rest > SHORT) return Buffer.concat(pieces);
  const around = pieces
    .map((piece) => (piece === long ? '|' : Buffer.from(piece).toString('latin1')))
    .join('|');
  const before = known.get(long);
  if (before?.around === around) return before.message;
  const message = Buffer.concat(pieces);
  known.set(long, { around, message });
  return message;
}
