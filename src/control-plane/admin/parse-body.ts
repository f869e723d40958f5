import type { z } from 'zod';
import { MeshError } from '../../runtime/errors.js';

/** What a JSON body says. @throws MeshError `INMESH_OPTION_INVALID` that names the field. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  if (body === undefined)
    throw new MeshError('INMESH_OPTION_INVALID', 'the body is no JSON that can be read, or too large');
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new MeshError(
    'INMESH_OPTION_INVALID',
    `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'invalid'}`,
  );
}
