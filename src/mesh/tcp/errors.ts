import { MeshError, type MeshErrorCode } from '../../runtime/errors.js';
import type { Exchange, ResponseFlag } from '../../service/context.js';

interface Refusal {
  readonly code: MeshErrorCode;
  readonly flag: ResponseFlag;
  readonly what: string;
  readonly hint: string;
  readonly cause?: unknown;
}

/** Refuses a connection: notes Envoy's flag on it and gives the error that its user gets. */
export function refuseConnection(
  context: Exchange,
  resource: string,
  { code, flag, what, hint, cause }: Refusal,
): MeshError {
  if (!context.flags.includes(flag)) context.flags.push(flag);
  return new MeshError(code, what, { resource, hint, flags: context.flags, cause });
}
