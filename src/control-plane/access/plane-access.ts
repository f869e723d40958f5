import { randomBytes } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSpiffeId, type SpiffeId } from '../../identity/spiffe-id.js';
import { createWebFetch } from '../../identity/web-fetch.js';
import { writeFileAtomic } from '../../runtime/atomic-file.js';
import { type Clock, systemClock } from '../../runtime/clock.js';
import { type Logger, silentLogger } from '../../runtime/log.js';
import { surroundings } from '../../runtime/process.js';
import { systemRandom } from '../../runtime/random.js';
import type { AuditLog, AuditRecord } from '../audit/audit-log.js';
import { createFileAudit } from '../audit/file-audit.js';
import { createLoggedAudit } from '../audit/log-audit.js';
import type { CertificateAuthority } from '../ca/certificate-authority.js';
import { isLoopbackPeer } from '../ca/peer-address.js';
import { type CallerOptions, type Callers, createCallers } from './callers.js';
import { createDirectoryJoinTokenStore, createMemoryJoinTokenStore } from './join-token-stores.js';
import { type CreatedJoinToken, createJoinTokens, type JoinTokens } from './join-tokens.js';
import { createTokenVerifier } from './oidc.js';
import { type AdminAccess, createOperators, type Operators, type RoleGrant } from './roles.js';

/** What a control plane is told about who may call it. */
export interface PlaneAccessOptions {
  readonly host: string;
  readonly dataDir: string | undefined;
  readonly callers: CallerOptions;
  readonly admin: AdminAccess;
}

/** Who may call a control plane, and what is written down of that. */
export interface PlaneAccess {
  readonly audit: AuditLog;
  readonly joinTokens: JoinTokens;
  readonly callers: Callers;
  /** Recognises who may use the status API. */
  readonly operators: Operators;
  readonly trustsLoopback: boolean;
  close(): Promise<void>;
}

/** @throws MeshError `INMESH_OPTION_INVALID`, `INMESH_STORE_WRITE`. */
export async function createPlaneAccess(
  { host, dataDir, callers: options, admin }: PlaneAccessOptions,
  {
    authority,
    clock,
    logger,
  }: { readonly authority: CertificateAuthority; readonly clock: Clock; readonly logger: Logger },
): Promise<PlaneAccess> {
  const audit =
    dataDir === undefined
      ? createLoggedAudit(logger)
      : await createFileAudit({ path: join(dataDir, AUDIT_FILE), clock, logger });
  const store =
    dataDir === undefined
      ? createMemoryJoinTokenStore()
      : createDirectoryJoinTokenStore(join(dataDir, JOIN_TOKENS));
  const { trustDomain } = authority;
  const joinTokens = createJoinTokens(store, { clock, trustDomain });
  const trustsLoopback = options.loopback ?? isLoopbackPeer(host);
  try {
    const verifier = createTokenVerifier([...(admin.oidc ?? []), ...(options.oidc ?? [])], {
      fetch: createWebFetch(clock),
      clock,
      random: systemRandom,
    });
    const isOpen = admin.loopback ?? trustsLoopback;
    const own = dataDir === undefined || isOpen ? [] : [await ownGrant(dataDir)];
    const operators = createOperators([...(admin.roles ?? []), ...own], { trustsLoopback: isOpen, verifier });
    const callers = createCallers(options, {
      trustDomain,
      bundle: () => authority.bundle(),
      joinTokens,
      trustsLoopback,
      clock,
      random: systemRandom,
      env: surroundings().env,
      joined: (id) =>
        audit.record({
          action: 'join-token.use',
          outcome: 'allowed',
          actor: id.toString(),
          authenticator: 'join-token',
        }),
    });
    return {
      audit,
      joinTokens: audited(joinTokens, audit),
      callers,
      operators,
      trustsLoopback,
      async close() {
        callers.close();
        verifier.close();
        await audit.close();
      },
    };
  } catch (error) {
    await audit.close();
    throw error;
  }
}

/** The audit log in the data folder. */
const AUDIT_FILE = 'audit.jsonl';
/** Folder of the join tokens in the data folder. */
export const JOIN_TOKENS = 'join-tokens';

/** The bearer token of an admin in the data folder: whoever can read that folder is the operator anyway. */
async function ownGrant(dataDir: string): Promise<RoleGrant> {
  const tokenFile = join(dataDir, 'admin.token');
  try {
    await access(tokenFile);
  } catch {
    await writeFileAtomic(tokenFile, [Buffer.from(`${randomBytes(32).toString('base64url')}\n`)]);
  }
  return { role: 'admin', tokenFile };
}

function audited(
  joinTokens: JoinTokens,
  audit: AuditLog,
  by: Pick<AuditRecord, 'actor' | 'authenticator'> = {},
): JoinTokens {
  return {
    ...joinTokens,
    async create(id: SpiffeId, ttlMs?: number): Promise<CreatedJoinToken> {
      await audit.record({ action: 'join-token.create', outcome: 'allowed', ...by, target: id.toString() });
      return joinTokens.create(id, ttlMs);
    },
    async revoke(hash) {
      await audit.record({ action: 'join-token.revoke', outcome: 'allowed', ...by, target: hash });
      return joinTokens.revoke(hash);
    },
  };
}

/**
 * Makes a join token in the data folder of a control plane, which may run or not. Its audit log says so: a token that can't
 * be recorded is not made.
 * @throws MeshError `INMESH_OPTION_INVALID`, `INMESH_SPIFFE_ID`, `INMESH_STORE_WRITE`.
 */
export async function createJoinTokenIn(
  dataDir: string,
  id: string,
  {
    ttlMs,
    actor,
    clock = systemClock,
  }: { readonly ttlMs?: number; readonly actor?: string; readonly clock?: Clock } = {},
): Promise<CreatedJoinToken> {
  const parsed = parseSpiffeId(id);
  const store = createDirectoryJoinTokenStore(join(dataDir, JOIN_TOKENS));
  const joinTokens = createJoinTokens(store, { clock, trustDomain: parsed.trustDomain });
  // Only who runs the control plane moves full files on: two at the same time would lose one.
  const audit = await createFileAudit({
    path: join(dataDir, AUDIT_FILE),
    clock,
    logger: silentLogger,
    maxBytes: Number.POSITIVE_INFINITY,
  });
  try {
    return await audited(joinTokens, audit, { actor, authenticator: 'data-folder' }).create(parsed, ttlMs);
  } finally {
    await audit.close();
  }
}
