import type { Kind } from './kind.js';
import { meshConfigSchema } from './mesh-config-schema.js';

/** Istio MeshConfig as a document: the settings of the mesh. It is also read from the ConfigMap `istio`. */
export const meshConfigKind: Kind<'MeshConfig'> = {
  name: 'MeshConfig',
  apiVersions: ['inmesh.dev/v1', 'mesh.istio.io/v1alpha1', 'v1alpha1'],
  schema: meshConfigSchema,
  validate: () => [],
};
