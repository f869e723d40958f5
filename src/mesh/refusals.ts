import { MeshError } from '../runtime/errors.js';
import type { Request } from '../service/service.js';

/** Answers for the mesh once it is closed. */
export async function refuse(request: Request): Promise<never> {
  throw closed(request.authority);
}

export function closed(resource: string): MeshError {
  return new MeshError('INMESH_CLOSED', 'the mesh is closed', {
    resource,
    hint: 'Send requests before close(), or join the mesh again with createMesh()',
  });
}

/** No configuration ever came. */
export function unconfigured(
  { service, controlPlane }: { readonly service: string; readonly controlPlane: string },
  lastError: Error | undefined,
): MeshError {
  return new MeshError(
    'INMESH_CONTROL_PLANE_UNAVAILABLE',
    `no configuration came from the control plane at ${controlPlane}, and none is cached`,
    {
      resource: `service ${service}`,
      cause: lastError,
      hint: 'Start it (npx inmesh dev) or set INMESH_CONTROL_PLANE=host:port; this process keeps trying',
    },
  );
}
