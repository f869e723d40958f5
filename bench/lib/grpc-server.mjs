// One server of the bench of gRPC servers in its own process: serves, and says what CPU it used when it is asked.
import * as grpc from '@grpc/grpc-js';
import { METHODS } from './grpc-methods.mjs';

const [variant, controlPlane] = process.argv.slice(2);
const server = await make();
server.addService(METHODS, {
  echo: (call, callback) => callback(null, call.request),
  sink: (call, callback) => {
    let count = 0;
    call.on('data', () => count++);
    call.on('end', () => callback(null, Buffer.from(String(count))));
  },
  async source(call) {
    let left = Number(call.request.toString());
    const message = Buffer.alloc(1024, 'x');
    const push = () => {
      while (left > 0) {
        left--;
        if (!call.write(message)) {
          call.once('drain', push);
          return;
        }
      }
      call.end();
    };
    push();
  },
});
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
  process.send({ port, error }),
);

let before = process.cpuUsage();
process.on('message', ({ begin, end }) => {
  if (end) process.exit(0);
  if (begin) before = process.cpuUsage();
  const { user, system } = process.cpuUsage(before);
  process.send({ cpuUs: user + system, rssMb: process.memoryUsage().rss / 2 ** 20 });
});
process.on('disconnect', () => process.exit(0));

async function make() {
  if (variant === 'grpc-js') return new grpc.Server();
  const { createMesh } = await import('inmesh');
  const { meshServer } = await import('inmesh/grpc');
  const { defineFilter } = await import('inmesh/filters');
  const pass = defineFilter({ name: 'bench.Pass', create: () => (request, next) => next(request) });
  const filters = variant === 'mesh, with a filter' ? [pass.use()] : [];
  const mesh = await createMesh({ service: 'echo', controlPlane, cacheDir: false, filters });
  return meshServer(mesh);
}
