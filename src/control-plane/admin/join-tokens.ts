import { z } from 'zod';
import { istioId } from '../../identity/spiffe-id.js';
import type { JoinTokenRecord, JoinTokens } from '../access/join-tokens.js';
import { type AdminRequest, type Answer, problem } from './http.js';

/** The body of `POST /api/join-tokens`. */
export const joinTokenBody = z.strictObject({
  namespace: z.string().default('default'),
  serviceAccount: z.string(),
  ttlMs: z.int().optional(),
});

/** Makes a join token; the answer is the only place where it is ever shown. */
export async function createJoinToken(
  request: AdminRequest,
  joinTokens: JoinTokens,
  trustDomain: string,
): Promise<Answer> {
  const parsed = joinTokenBody.safeParse(await request.json());
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return problem(
      400,
      'INMESH_OPTION_INVALID',
      `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'invalid'}`,
    );
  }
  const { namespace, serviceAccount, ttlMs } = parsed.data;
  const { token, ...record } = await joinTokens.create(
    istioId(trustDomain, namespace, serviceAccount),
    ttlMs,
  );
  return { status: 201, body: { token: token.reveal(), ...describe(record) } };
}

/** The unused tokens, without what could be used. */
export async function listJoinTokens(joinTokens: JoinTokens): Promise<Answer> {
  return { status: 200, body: { joinTokens: (await joinTokens.list()).map(describe) } };
}

export async function revokeJoinToken(hash: string, joinTokens: JoinTokens): Promise<Answer> {
  if (await joinTokens.revoke(hash)) return { status: 200, body: { hash, revoked: true } };
  return problem(404, 'INMESH_NOT_FOUND', 'there is no such token, or it was used');
}

function describe({ hash, id, createdAtMs, expiresAtMs }: JoinTokenRecord): object {
  return {
    hash,
    id,
    createdAt: new Date(createdAtMs).toISOString(),
    expiresAt: new Date(expiresAtMs).toISOString(),
  };
}
