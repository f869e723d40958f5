import type { MeshDocument } from './document.js';
import { type ConfiguredMesh, defineMesh, refuseErrors } from './mesh.js';

/**
 * The mesh of documents in YAML (or JSON), those of lists among them. Loads the control plane, whose strict reader does
 * it; what the documents say is checked by `validate`.
 * @throws MeshError `INMESH_CONFIG_SYNTAX`, `INMESH_CONFIG_TOO_LARGE`, `INMESH_CONFIG_DUPLICATE`.
 */
export async function fromYaml(text: string, name = 'mesh.yaml'): Promise<ConfiguredMesh> {
  const { objectsOf } = await import('../control-plane.js');
  const { objects, violations } = objectsOf([{ file: name, content: text }]);
  await refuseErrors(violations);
  // What they are is for validate to say.
  return defineMesh({ documents: objects.map(({ object }) => object as unknown as MeshDocument) });
}
