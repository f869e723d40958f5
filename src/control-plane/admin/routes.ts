import { MeshError } from '../../runtime/errors.js';
import { CONFIG_ROUTES } from './config-routes.js';
import { DOCUMENT_ROUTES } from './document-routes.js';
import { type AdminRequest, type Answer, problem, problemOf } from './http.js';
import { createJoinToken, listJoinTokens, revokeJoinToken } from './join-tokens.js';
import type { AdminOptions } from './options.js';
import { READABLE, read } from './read.js';
import { type AdminRoute, matchRoute } from './route.js';
import { registerWorkload, removeWorkload } from './workloads.js';

const DEFAULT_WAIT_MS = 10_000;
const MAX_WAIT_MS = 300_000;

/** What the API can do. */
export const ROUTES: readonly AdminRoute[] = [
  ...CONFIG_ROUTES,
  ...DOCUMENT_ROUTES,
  { method: 'GET', path: '/api/applied', role: 'viewer', answer: applied },
  {
    method: 'POST',
    path: '/api/workloads',
    role: 'operator',
    action: 'workload.register',
    answer: (request, { registry }) => registerWorkload(request, registry),
  },
  {
    method: 'DELETE',
    path: '/api/workloads/{id}',
    role: 'operator',
    action: 'workload.remove',
    answer: (_, { registry }, id = '') => removeWorkload(id, registry),
  },
  {
    method: 'GET',
    path: '/api/join-tokens',
    role: 'admin',
    answer: (_, { joinTokens }) => listJoinTokens(joinTokens),
  },
  {
    method: 'POST',
    path: '/api/join-tokens',
    role: 'admin',
    action: 'join-token.request',
    answer: (request, { joinTokens, trustDomain }) => createJoinToken(request, joinTokens, trustDomain),
  },
  {
    method: 'DELETE',
    path: '/api/join-tokens/{hash}',
    role: 'admin',
    action: 'join-token.withdraw',
    answer: (_, { joinTokens }, hash = '') => revokeJoinToken(hash, joinTokens),
  },
  {
    method: 'GET',
    path: '/api/mtls',
    role: 'viewer',
    answer: ({ query }, { mtls }) => ({ status: 200, body: mtls(query.get('namespace') || undefined) }),
  },
  ...READABLE.map(
    (path): AdminRoute => ({
      method: 'GET',
      path,
      role: 'viewer',
      answer: (_, options) => read(path, options),
    }),
  ),
];

/** An answer, also for options that a caller got wrong. */
export async function carryOut(
  route: AdminRoute,
  request: AdminRequest,
  options: AdminOptions,
): Promise<Answer> {
  const names = matchRoute(route, request.path) ?? [];
  try {
    return await route.answer(request, options, ...names);
  } catch (error) {
    if (MeshError.is(error) && (error.code === 'INMESH_OPTION_INVALID' || error.code === 'INMESH_SPIFFE_ID'))
      return problemOf(400, error);
    // Nothing was changed, and the caller has to know that.
    if (MeshError.is(error) && error.code === 'INMESH_STORE_WRITE') return problemOf(507, error);
    if (MeshError.is(error) && error.code === 'INMESH_STORE_FOLLOWS') return problemOf(503, error);
    throw error;
  }
}

/** Answers when the revision has arrived everywhere, or it can not be waited for any longer. */
async function applied({ query }: AdminRequest, { waitApplied }: AdminOptions): Promise<Answer> {
  const revision = numberOf(query.get('revision'), 0, Number.MAX_SAFE_INTEGER);
  const timeoutMs = numberOf(query.get('timeoutMs'), 0, MAX_WAIT_MS);
  if (revision === 'invalid' || timeoutMs === 'invalid') {
    return problem(
      400,
      'INMESH_OPTION_INVALID',
      `revision and timeoutMs (at most ${MAX_WAIT_MS}) are whole numbers`,
    );
  }
  const report = await waitApplied(revision, timeoutMs ?? DEFAULT_WAIT_MS);
  return { status: report.isApplied ? 200 : 409, body: report };
}

function numberOf(text: string | null, min: number, max: number): number | 'invalid' | undefined {
  if (text === null) return undefined;
  const value = text === '' ? Number.NaN : Number(text);
  return Number.isInteger(value) && value >= min && value <= max ? value : 'invalid';
}
