// The measured upstream: a meshed server in its own process, 1 KiB bodies.
import { createServer } from 'node:http';
import { createMesh } from 'inmesh';

const body = Buffer.alloc(1024, 'x');
const handler = (_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length });
  response.end(body);
};

const mesh = await createMesh({
  service: 'echo',
  version: 'v1',
  cacheDir: false,
  controlPlane: process.argv[2],
});
const meshed = await mesh.listen(createServer(handler));
// The same handler without the mesh, for the bare client.
const bare = createServer(handler).listen(0, '127.0.0.1', () => {
  process.send({ meshed: meshed.port, bare: bare.address().port });
});
process.on('disconnect', () => process.exit(0));
