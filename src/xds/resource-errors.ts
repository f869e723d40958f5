import type { discovery } from '../proto/xds.js';
import { MeshError } from '../runtime/errors.js';
import { canonicalName } from './resource-name.js';

/** What a server says about a resource that it does not send (gRFC A88, xRFC TP3). */
export interface ResourceFailure {
  readonly name: string;
  /** Of gRPC. */
  readonly code: number;
  readonly error: MeshError;
}

/** The errors of a response; the last one about a name counts. */
export function readFailures(errors: readonly discovery.ResourceError[]): readonly ResourceFailure[] {
  return errors.flatMap(({ resourceName, errorDetail }) => {
    const name = canonicalName(resourceName?.name ?? '');
    if (name === '' || errorDetail === undefined || errorDetail.code === 0) return [];
    const { code, message } = errorDetail;
    const text = `the control plane has no value: ${message === '' ? 'no reason is given' : message} (status ${code})`;
    return [{ name, code, error: new MeshError('INMESH_XDS_REJECTED', text, { resource: name }) }];
  });
}
