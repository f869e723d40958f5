import { z } from 'zod';
import { MeshError } from '../../runtime/errors.js';
import type { WorkloadRegistry } from '../registry/registry.js';
import { createWorkload } from '../registry/workload.js';
import { type AdminRequest, type Answer, problem, problemOf } from './http.js';

const DEFAULT_TTL_MS = 30_000;

/** The body of `POST /api/workloads`. */
export const workloadBody = z.strictObject({
  /** Names the registration: post it again within the TTL to keep it. */
  id: z.string().min(1).max(253),
  service: z.string(),
  namespace: z.string().optional(),
  version: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  address: z.string(),
  port: z.int(),
  portName: z.string().optional(),
  serviceAccount: z.string().optional(),
  tlsMode: z.enum(['istio', 'disabled']).optional(),
  weight: z.int().optional(),
  ttlMs: z.int().min(1_000).max(3_600_000).optional(),
});

/** Registers a workload that does not speak xDS; it vanishes when it is not posted again within its TTL. */
export async function registerWorkload(request: AdminRequest, registry: WorkloadRegistry): Promise<Answer> {
  const parsed = workloadBody.safeParse(await request.json());
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return problem(
      400,
      'INMESH_OPTION_INVALID',
      `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'invalid'}`,
    );
  }
  const { id, ttlMs = DEFAULT_TTL_MS, ...input } = parsed.data;
  try {
    const owner = ownerOf(id);
    registry.register(owner, [createWorkload(owner, input)], ttlMs);
  } catch (error) {
    if (MeshError.is(error)) return problemOf(400, error);
    throw error;
  }
  return { status: 200, body: { id, ttlMs } };
}

/** Removes a registration that was posted. */
export function removeWorkload(id: string, registry: WorkloadRegistry): Answer {
  if (!registry.remove(ownerOf(id)))
    return problem(404, 'INMESH_NOT_FOUND', `nothing is registered as ${JSON.stringify(id)}`);
  return { status: 200, body: { id, removed: true } };
}

/** A name space of its own: nobody removes by this API what an xDS client registered. */
function ownerOf(id: string): string {
  return `api:${id}`;
}
