import { createServer } from 'node:http';
import { createMesh } from 'inmesh';

const mesh = await createMesh();
const server = createServer(async (_request, response) => {
  const hello = await mesh.fetch('http://hello/');
  response.end(`web got ${hello.status}: ${await hello.text()}`);
});
await mesh.listen(server);
process.once('SIGTERM', () => mesh.close());
