import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { MeshError } from '../../runtime/errors.js';
import { bearerToken } from './bearer.js';
import { type ClaimConditions, fulfils } from './identity-template.js';
import type { OidcIssuer, TokenVerifier } from './oidc.js';

/** What an operator may do: `viewer` reads, `operator` registers workloads too, `admin` also gives out access. */
export type AdminRole = 'viewer' | 'operator' | 'admin';

/** Who has a role. */
export type RoleGrant = { readonly role: AdminRole } & (
  | {
      /** File with a bearer token of at least 16 characters; read at the start. */ readonly tokenFile: string;
    }
  | { /** SHA-256 of a bearer token, hexadecimal. */ readonly tokenSha256: string }
  | {
      /** Callers with this SPIFFE ID, by certificate; `*` at the end stands for any rest. */ readonly spiffeId: string;
    }
  | {
      /** Callers with a token of this OIDC issuer. */
      readonly issuer: string;
      /** Claims and what they must be, or contain. */
      readonly when?: ClaimConditions;
    }
);

/** Who may use the status API, and for what. */
export interface AdminAccess {
  /** Whether processes of this machine are `admin` without proof. Default: as `callers.loopback`. */
  readonly loopback?: boolean;
  readonly roles?: readonly RoleGrant[];
  /** OIDC issuers of operators; those of `callers` are known, too. */
  readonly oidc?: readonly Omit<OidcIssuer, 'identities'>[];
  /** Names, besides those of loopback, that the API may be called by (`Host`). */
  readonly hosts?: readonly string[];
  /** IP address to listen on. Default: loopback; on any other it is HTTPS, with the certificate of the control plane. */
  readonly host?: string;
}

/** An operator that was recognised. */
export interface Operator {
  readonly role: AdminRole;
  /** For the audit log. */
  readonly actor: string;
  readonly authenticator: string;
}

/** What is known of whoever sent a request. */
export interface OperatorCall {
  readonly isLocal: boolean;
  readonly authorization: string | undefined;
  /** The SPIFFE ID that the connection proved. */
  readonly spiffeId: string | undefined;
}

/** Recognises operators; undefined = nobody. */
export type Operators = (call: OperatorCall) => Promise<Operator | undefined>;

const RANK: Readonly<Record<AdminRole, number>> = { viewer: 0, operator: 1, admin: 2 };
const MIN_TOKEN_LENGTH = 16;

/** Whether a role includes another. */
export function includesRole(own: AdminRole, wanted: AdminRole): boolean {
  return RANK[own] >= RANK[wanted];
}

/** @throws MeshError `INMESH_OPTION_INVALID` for a grant that can't be used. */
export function createOperators(
  grants: readonly RoleGrant[],
  { trustsLoopback, verifier }: { readonly trustsLoopback: boolean; readonly verifier: TokenVerifier },
): Operators {
  for (const { role } of grants)
    if (!Object.hasOwn(RANK, role)) throw invalid(`there is no role ${JSON.stringify(role)}`);
  const tokens = grants.flatMap((grant, index) => {
    const digest = digestOf(grant);
    return digest === undefined ? [] : [{ role: grant.role, digest, actor: `token-${index}` }];
  });
  return async ({ isLocal, authorization, spiffeId }) => {
    const bearer = bearerToken(authorization);
    const found = [
      ...(bearer === undefined ? [] : byToken(bearer, tokens)),
      ...(spiffeId === undefined ? [] : byCertificate(spiffeId, grants)),
    ];
    if (bearer !== undefined && found.length === 0) found.push(...(await byClaims(bearer, grants, verifier)));
    // Who shows something is judged by that, on this machine, too.
    if (trustsLoopback && isLocal && authorization === undefined)
      found.push({ role: 'admin', actor: 'loopback', authenticator: 'loopback' });
    return found.sort((a, b) => RANK[b.role] - RANK[a.role])[0];
  };
}

interface TokenGrant {
  readonly role: AdminRole;
  readonly digest: Buffer;
  readonly actor: string;
}

/** All are compared, in constant time each: nothing tells which one was close. */
function byToken(bearer: string, tokens: readonly TokenGrant[]): readonly Operator[] {
  const digest = sha256(bearer);
  return tokens
    .filter((one) => timingSafeEqual(one.digest, digest))
    .map(({ role, actor }) => ({ role, actor, authenticator: 'bearer' }));
}

function byCertificate(spiffeId: string, grants: readonly RoleGrant[]): readonly Operator[] {
  return grants
    .filter((grant) => 'spiffeId' in grant && matches(grant.spiffeId, spiffeId))
    .map(({ role }) => ({ role, actor: spiffeId, authenticator: 'svid' }));
}

async function byClaims(
  bearer: string,
  grants: readonly RoleGrant[],
  verifier: TokenVerifier,
): Promise<readonly Operator[]> {
  const verified = await verifier.verify(bearer);
  if (verified === undefined) return [];
  const { issuer, claims } = verified;
  const subject = Object.hasOwn(claims, 'sub') ? String(claims['sub']) : '';
  return grants
    .filter((grant) => 'issuer' in grant && grant.issuer === issuer && fulfils(claims, grant.when ?? {}))
    .map(({ role }) => ({ role, actor: `${issuer}|${subject}`, authenticator: 'oidc' }));
}

function matches(pattern: string, id: string): boolean {
  return pattern.endsWith('/*') ? id.startsWith(pattern.slice(0, -1)) : pattern === id;
}

function digestOf(grant: RoleGrant): Buffer | undefined {
  if ('tokenSha256' in grant) {
    if (/^[0-9a-f]{64}$/i.test(grant.tokenSha256)) return Buffer.from(grant.tokenSha256, 'hex');
    throw invalid('tokenSha256 is no SHA-256 in hexadecimal');
  }
  if (!('tokenFile' in grant)) return undefined;
  let text: string;
  try {
    text = readFileSync(grant.tokenFile, 'utf8').trim();
  } catch (cause) {
    throw invalid('the file of a bearer token can not be read', cause);
  }
  if (text.length >= MIN_TOKEN_LENGTH) return sha256(text);
  throw invalid(`a bearer token has at least ${MIN_TOKEN_LENGTH} characters`);
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function invalid(what: string, cause?: unknown): MeshError {
  return new MeshError('INMESH_OPTION_INVALID', what, { cause });
}
