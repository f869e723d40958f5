// The measured gRPC server: a plain grpc-js server whose messages are bytes.
import * as grpc from '@grpc/grpc-js';
import { METHODS } from './grpc-methods.mjs';

const message = Buffer.alloc(1024, 'x');
const server = new grpc.Server();
server.addService(METHODS, {
  echo: (call, callback) => callback(null, call.request),
  sink: (call, callback) => {
    let count = 0;
    call.on('data', () => count++);
    call.on('end', () => callback(null, Buffer.from(String(count))));
  },
  async source(call) {
    let left = Number(call.request.toString());
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
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (_error, port) =>
  process.send({ port }),
);
process.on('disconnect', () => process.exit(0));
