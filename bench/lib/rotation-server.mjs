// The servers of bench/rotation.mjs: each answers with the id that it was asked with.
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { createMesh } from 'inmesh';
import { tellCertificates } from './rotation-member.mjs';

const { controlPlane, protocols, servers } = JSON.parse(process.argv[2]);
const meshes = [];
const join = async (service) => {
  const mesh = await createMesh({ service, serviceAccount: service, cacheDir: false, controlPlane });
  meshes.push(mesh);
  return mesh;
};

const START = {
  http1: startHttp,
  http2: startHttp,
  async grpc() {
    const { Server, ServerCredentials } = await import('@grpc/grpc-js');
    const { meshServer } = await import('inmesh/grpc');
    const { METHODS } = await import('./grpc-methods.mjs');
    const server = meshServer(await join('grpc'), { Server });
    server.addService({ echo: METHODS.echo }, { echo: ({ request }, done) => done(null, request) });
    return new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
  },
  async tcp() {
    const mesh = await join('tcp');
    const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      socket.pipe(socket);
    });
    return (await mesh.listen(server, 0)).port;
  },
};

const ports = {};
// A port is part of the address of a TCP service: there is one server of it.
for (const protocol of protocols)
  for (let at = 0; at < (protocol === 'tcp' ? 1 : servers); at++)
    ports[protocol] = await START[protocol](protocol);
for (const mesh of meshes) await mesh.ready();
tellCertificates(meshes);
process.send({ ready: { ports } });
process.on('disconnect', () => process.exit(0));

async function startHttp(service) {
  const mesh = await join(service);
  const server = createServer((request, response) => response.end(request.url.slice(1)));
  return (await mesh.listen(server)).port;
}
