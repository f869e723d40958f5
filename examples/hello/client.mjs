import { createMesh } from 'inmesh';

const mesh = await createMesh();
for (let i = 0; i < 10; i++) {
  const response = await mesh.fetch('http://web/');
  console.log(response.status, await response.text());
}
await mesh.close();
