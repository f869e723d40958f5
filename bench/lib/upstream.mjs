// The measured upstreams, all with 1 KiB answers: plain HTTP without the mesh, and the same handler as a meshed server (mTLS).
import { createServer } from 'node:http';
import { createMesh } from 'inmesh';

const body = Buffer.alloc(1024, 'x');
const handler = (_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length });
  response.end(body);
};

const bare = createServer({ keepAliveTimeout: 60_000 }, handler);
await new Promise((resolve) => bare.listen(0, '127.0.0.1', resolve));
const mesh = await createMesh({
  service: 'secure',
  version: 'v1',
  cacheDir: false,
  controlPlane: process.argv[2],
});
const meshed = await mesh.listen(createServer({ keepAliveTimeout: 60_000 }, handler));
process.send({ meshed: meshed.port, bare: bare.address().port });
process.on('disconnect', () => process.exit(0));
