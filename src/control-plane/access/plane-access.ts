import { join } from 'node:path';
import { parseSpiffeId, type SpiffeId } from '../../identity/spiffe-id.js';
import type { Clock } from '../../runtime/clock.js';
import type { Logger } from '../../runtime/log.js';
import { surroundings } from '../../runtime/process.js';
import { systemRandom } from '../../runtime/random.js';
import type { AuditLog } from '../audit/audit-log.js';
import { createFileAudit } from '../audit/file-audit.js';
import { createLoggedAudit } from '../audit/log-audit.js';
import type { CertificateAuthority } from '../ca/certificate-authority.js';
import { isLoopbackPeer } from '../ca/peer-address.js';
import { type CallerOptions, type Callers, createCallers } from './callers.js';
import { createDirectoryJoinTokenStore, createMemoryJoinTokenStore } from './join-token-stores.js';
import { type CreatedJoinToken, createJoinTokens, type JoinTokens } from './join-tokens.js';

/** What a control plane is told about who may call it. */
export interface PlaneAccessOptions {
  readonly host: string;
  readonly dataDir: string | undefined;
  readonly callers: CallerOptions;
}

/** Who may call a control plane, and what is written down of that. */
export interface PlaneAccess {
  readonly audit: AuditLog;
  readonly joinTokens: JoinTokens;
  readonly callers: Callers;
  readonly trustsLoopback: boolean;
  close(): Promise<void>;
}

/** @throws MeshError `INMESH_OPTION_INVALID`, `INMESH_STORE_WRITE`. */
export async function createPlaneAccess(
  { host, dataDir, callers: options }: PlaneAccessOptions,
  {
    authority,
    clock,
    logger,
  }: { readonly authority: CertificateAuthority; readonly clock: Clock; readonly logger: Logger },
): Promise<PlaneAccess> {
  const audit =
    dataDir === undefined
      ? createLoggedAudit(logger)
      : await createFileAudit({ path: join(dataDir, 'audit.jsonl'), clock, logger });
  const store =
    dataDir === undefined
      ? createMemoryJoinTokenStore()
      : createDirectoryJoinTokenStore(join(dataDir, JOIN_TOKENS));
  const { trustDomain } = authority;
  const joinTokens = createJoinTokens(store, { clock, trustDomain });
  const trustsLoopback = options.loopback ?? isLoopbackPeer(host);
  try {
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
      trustsLoopback,
      async close() {
        callers.close();
        await audit.close();
      },
    };
  } catch (error) {
    await audit.close();
    throw error;
  }
}

/** Folder of the join tokens in the data folder. */
export const JOIN_TOKENS = 'join-tokens';

function audited(joinTokens: JoinTokens, audit: AuditLog): JoinTokens {
  return {
    ...joinTokens,
    async create(id: SpiffeId, ttlMs?: number): Promise<CreatedJoinToken> {
      await audit.record({ action: 'join-token.create', outcome: 'allowed', target: id.toString() });
      return joinTokens.create(id, ttlMs);
    },
    async revoke(hash) {
      await audit.record({ action: 'join-token.revoke', outcome: 'allowed', target: hash });
      return joinTokens.revoke(hash);
    },
  };
}

/** Makes a join token in the data folder of a control plane, which may run or not: the file is the token. */
export async function createJoinTokenIn(
  dataDir: string,
  id: string,
  { ttlMs, clock }: { readonly ttlMs?: number | undefined; readonly clock: Clock },
): Promise<CreatedJoinToken> {
  const parsed = parseSpiffeId(id);
  const store = createDirectoryJoinTokenStore(join(dataDir, JOIN_TOKENS));
  return createJoinTokens(store, { clock, trustDomain: parsed.trustDomain }).create(parsed, ttlMs);
}
