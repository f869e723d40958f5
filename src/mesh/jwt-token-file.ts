import { readFile as readFileFromDisk } from 'node:fs/promises';
import { type Backoff, createBackoff } from '../runtime/backoff.js';
import type { Clock } from '../runtime/clock.js';
import { MeshError } from '../runtime/errors.js';
import type { Random } from '../runtime/random.js';

/** gRFC A97: for the difference of clocks and the time on the way. */
const EARLY_MS = 30_000;
/** gRFC A97: a token that is about to expire is read again while it is still used. */
const REFRESH_MS = 60_000;

/** What a token file is read with. */
export interface JwtTokenFileOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly random: Random;
  /** For tests. */
  readonly readFile?: (path: string) => Promise<string>;
}

/** A JWT from a file, read when it is needed and again before it expires (gRFC A97). */
export class JwtTokenFile {
  readonly #options: JwtTokenFileOptions;
  readonly #backoff: Backoff;
  #token: { readonly text: string; readonly untilMs: number } | undefined;
  #reading: Promise<void> | undefined;
  /** Why the last attempt failed, and until when there is no other. */
  #failure: { readonly error: MeshError; readonly untilMs: number } | undefined;

  constructor(options: JwtTokenFileOptions) {
    this.#options = options;
    this.#backoff = createBackoff({ baseMs: 1000, maxMs: 120_000, factor: 1.6, jitter: 0.2 }, options.random);
  }

  /** The token; rejects with `INMESH_TOKEN_UNAVAILABLE` when there is none that is valid. */
  async token(): Promise<string> {
    const now = this.#options.clock.wallTime();
    const isValid = this.#token !== undefined && this.#token.untilMs > now;
    if (!isValid || (this.#token?.untilMs ?? 0) - now < REFRESH_MS) {
      const reading = this.#read();
      if (!isValid) await reading;
    }
    if (this.#token !== undefined && this.#token.untilMs > this.#options.clock.wallTime())
      return this.#token.text;
    throw this.#failure?.error ?? this.#unavailable('has expired');
  }

  #read(): Promise<void> {
    if (this.#failure !== undefined && this.#options.clock.now() < this.#failure.untilMs)
      return Promise.resolve();
    this.#reading ??= this.#attempt().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #attempt(): Promise<void> {
    const { path, clock, readFile = readText } = this.#options;
    try {
      const text = (await readFile(path)).trim();
      const expiresMs = expiryOf(text);
      if (expiresMs === undefined) throw this.#unavailable('holds no JWT with an expiration time');
      this.#token = { text, untilMs: expiresMs - EARLY_MS };
      this.#failure = undefined;
      this.#backoff.reset();
    } catch (cause) {
      const error = MeshError.is(cause) ? cause : this.#unavailable('can not be read', cause);
      this.#failure = { error, untilMs: clock.now() + this.#backoff.next() };
    }
  }

  #unavailable(what: string, cause?: unknown): MeshError {
    return new MeshError('INMESH_TOKEN_UNAVAILABLE', `the token file ${what}`, {
      resource: this.#options.path,
      cause,
      hint: 'Check the path, and that whoever renews the token runs',
    });
  }
}

/** The `exp` of a JWT in milliseconds; signature and audience are the server's to check. */
function expiryOf(token: string): number | undefined {
  const [, payload, signature] = token.split('.');
  // It becomes a header: nothing but the letters of base64url may stand in it.
  if (payload === undefined || signature === undefined || !/^[\w.-]+$/.test(token)) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const exp = typeof claims === 'object' && claims !== null && 'exp' in claims ? claims.exp : undefined;
    return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}

function readText(path: string): Promise<string> {
  return readFileFromDisk(path, 'utf8');
}
