import { createHash, randomBytes } from 'node:crypto';
import { parseSpiffeId, type SpiffeId } from '../../identity/spiffe-id.js';
import type { Clock } from '../../runtime/clock.js';
import { MeshError } from '../../runtime/errors.js';
import { Secret } from '../../runtime/secret.js';

/** What is kept of a join token: everything but the token. */
export interface JoinTokenRecord {
  /** SHA-256 of the token, hexadecimal; it names the token towards operators, too. */
  readonly hash: string;
  /** Who the bearer becomes. */
  readonly id: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** Where join tokens are kept. */
export interface JoinTokenStore {
  add(record: JoinTokenRecord): Promise<void>;
  /**
   * Takes a token out and gives what it stood for. Of several callers at the same time, also in other processes, one gets
   * it; when it resolves, the token is gone for good, also after a crash.
   */
  take(hash: string): Promise<JoinTokenRecord | undefined>;
  list(): Promise<readonly JoinTokenRecord[]>;
}

/** A token that was just made. */
export interface CreatedJoinToken extends JoinTokenRecord {
  /** Shown once; only its hash is kept. */
  readonly token: Secret;
}

/** Tokens by which a new machine joins: each is good for one certificate. */
export interface JoinTokens {
  /** @throws MeshError `INMESH_OPTION_INVALID` for an id or a time that can't be used, `INMESH_STORE_WRITE`. */
  create(id: SpiffeId, ttlMs?: number): Promise<CreatedJoinToken>;
  /** Uses a token up; undefined when it never was, was used, was revoked or has expired. */
  use(token: string): Promise<SpiffeId | undefined>;
  /** Takes a token out before it was used; false when there is none. */
  revoke(hash: string): Promise<boolean>;
  /** Those that can still be used. */
  list(): Promise<readonly JoinTokenRecord[]>;
}

const PREFIX = 'inmesh-join-';
const TOKEN = /^inmesh-join-[A-Za-z0-9_-]{43}$/;
/** The time until it has to be used, by default. */
export const JOIN_TOKEN_TTL_MS = 10 * 60_000;
const MAX_TTL_MS = 30 * 86_400_000;
/** Unused ones, all together. */
const MAX_TOKENS = 10_000;

/** Whether a text has the form of a join token. */
export function isJoinToken(token: string): boolean {
  return TOKEN.test(token);
}

export function createJoinTokens(
  store: JoinTokenStore,
  { clock, trustDomain }: { readonly clock: Clock; readonly trustDomain: string },
): JoinTokens {
  const isOver = ({ expiresAtMs }: JoinTokenRecord) => clock.wallTime() >= expiresAtMs;
  /** What was not used in time is taken out when somebody looks. */
  const current = async () => {
    const all = await store.list();
    for (const one of all) if (isOver(one)) await store.take(one.hash);
    return all.filter((one) => !isOver(one));
  };
  return {
    async create(id, ttlMs = JOIN_TOKEN_TTL_MS) {
      if (id.trustDomain !== trustDomain || id.path === '')
        throw invalid(`${id} is no workload of trust domain ${trustDomain}`);
      if (!Number.isFinite(ttlMs) || ttlMs < 1_000 || ttlMs > MAX_TTL_MS)
        throw invalid('the time to use a join token is 1 second to 30 days');
      if ((await current()).length >= MAX_TOKENS)
        throw invalid(`there are ${MAX_TOKENS} unused join tokens already`);
      const token = `${PREFIX}${randomBytes(32).toString('base64url')}`;
      const createdAtMs = clock.wallTime();
      const record = {
        hash: hashOf(token),
        id: id.toString(),
        createdAtMs,
        expiresAtMs: createdAtMs + ttlMs,
      };
      await store.add(record);
      return { ...record, token: new Secret(token) };
    },
    async use(token) {
      if (!isJoinToken(token)) return undefined;
      const record = await store.take(hashOf(token));
      return record === undefined || isOver(record) ? undefined : parseSpiffeId(record.id);
    },
    async revoke(hash) {
      return /^[0-9a-f]{64}$/.test(hash) && (await store.take(hash)) !== undefined;
    },
    list: current,
  };
}

/** 256 random bits need no slow hash; and who finds the hashes can not turn them into tokens. */
function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

function invalid(what: string): MeshError {
  return new MeshError('INMESH_OPTION_INVALID', what);
}
