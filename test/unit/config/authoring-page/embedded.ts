import { fromYaml } from 'inmesh/config';
import { createControlPlane } from 'inmesh/control-plane';

const mesh = await fromYaml(
  'apiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { ports: [{ port: 80 }] }\n',
);
await mesh.validate({ strict: true });
const plane = await createControlPlane({ config: mesh });
await plane.close();
