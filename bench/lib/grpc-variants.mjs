// Clients of the same generated class: by a plain channel, through the mesh, and by gRPC's own xDS client.
import * as grpc from '@grpc/grpc-js';
import { METHODS } from './grpc-methods.mjs';

const Echo = grpc.makeGenericClientConstructor(METHODS, 'Echo');
const insecure = () => grpc.credentials.createInsecure();

export const VARIANTS = {
  'grpc-js': async ({ port }) => new Echo(`127.0.0.1:${port}`, insecure()),
  async mesh({ controlPlane }) {
    const { createMesh } = await import('inmesh');
    const { meshClient } = await import('inmesh/grpc');
    const mesh = await createMesh({ service: 'client', cacheDir: false, controlPlane });
    await mesh.ready();
    return meshClient(mesh, Echo, 'echo.bench:50051');
  },
  async 'grpc-js-xds'({ controlPlane }) {
    process.env.GRPC_XDS_BOOTSTRAP_CONFIG = JSON.stringify({
      xds_servers: [
        { server_uri: controlPlane, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] },
      ],
      // It refuses a node without locality.
      node: {
        id: 'sidecar~127.0.0.1~bench.default~default.svc.cluster.local',
        locality: {},
        metadata: { GENERATOR: 'grpc', NAMESPACE: 'default' },
      },
    });
    const xds = await import('@grpc/grpc-js-xds');
    xds.register();
    return new Echo('xds:///echo.bench:50051', insecure());
  },
};

const payload = Buffer.alloc(64, 'x');
const unary = (client) => (done) => client.echo(payload, done);

/** What is driven: calls with a callback. `messages` is how many each carries. */
export const LOADS = {
  unary: { messages: 1, start: unary },
  'server streaming': {
    messages: 2000,
    start: (client) => (done) => {
      const call = client.source(Buffer.from('2000'));
      let count = 0;
      call.on('data', () => count++);
      call.on('error', done);
      call.on('end', () => done(count === 2000 ? null : new Error(`${count} messages`)));
    },
  },
  'client streaming': {
    messages: 2000,
    start: (client) => {
      const message = Buffer.alloc(1024, 'x');
      return (done) => {
        const call = client.sink(done);
        let left = 2000;
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
      };
    },
  },
};
