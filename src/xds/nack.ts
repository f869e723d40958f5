import { create } from '@bufbuild/protobuf';
import { rpc } from '../proto/xds.js';
import { type Backoff, createBackoff } from '../runtime/backoff.js';
import type { Random } from '../runtime/random.js';

/** Envoy refuses with 13 (INTERNAL), gRPC with 3 (INVALID_ARGUMENT); servers read only that there is an error. */
const NACK_CODE = 13;

/** Envoy: the message of a NACK is cut at 4096 bytes. */
const MAX_ERROR_BYTES = 4096;
const CUT_MARK = '...(truncated)';

/** Complaints of a server that finds ever new faults are not kept without end. */
const MAX_REMEMBERED = 100;

/** The complaint of a NACK. */
export function errorDetail(text: string): rpc.Status {
  return create(rpc.StatusSchema, { code: NACK_CODE, message: cut(text) });
}

/**
 * Servers such as go-control-plane answer a NACK at once with the same resources: without a wait, both spin. The first
 * complaint goes out at once, the same one again waits longer each time.
 */
export class NackDamping {
  readonly #backoff: Backoff;
  /** Complaints made since the last good response. */
  readonly #made = new Set<string>();

  constructor(random: Random) {
    this.#backoff = createBackoff({ baseMs: 1000, maxMs: 10_000, jitter: 0.2 }, random);
  }

  /** A response was good. */
  accept(): void {
    this.#made.clear();
    this.#backoff.reset();
  }

  /** Whether the complaint was made before. */
  isRepeated(text: string): boolean {
    if (this.#made.has(text)) return true;
    if (this.#made.size >= MAX_REMEMBERED) this.#made.clear();
    this.#made.add(text);
    this.#backoff.reset();
    return false;
  }

  /** How long to hold a repeated complaint back. */
  nextDelayMs(): number {
    return this.#backoff.next();
  }
}

function cut(message: string): string {
  const bytes = Buffer.from(message);
  if (bytes.length <= MAX_ERROR_BYTES) return message;
  // A character cut in half at the end decodes to U+FFFD: drop it.
  const head = bytes
    .subarray(0, MAX_ERROR_BYTES - CUT_MARK.length)
    .toString()
    .replace(/\uFFFD+$/, '');
  return head + CUT_MARK;
}
