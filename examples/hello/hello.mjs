import { createServer } from 'node:http';
import { createMesh } from 'inmesh';
import { peerOf } from 'inmesh/server';

const mesh = await createMesh();
const server = createServer((request, response) => {
  response.end(`hello ${process.env.INMESH_VERSION}, called by ${peerOf(request)?.spiffeId ?? 'a stranger'}`);
});
await mesh.listen(server);
process.once('SIGTERM', () => mesh.close());
