// A gRPC server in the mesh and a generated client through it; control plane, server and client run in this process.
// Exits with 0 when everything is as it should be.
import assert from 'node:assert/strict';
import * as grpc from '@grpc/grpc-js';
import { createMesh } from 'inmesh';
import { createControlPlane } from 'inmesh/control-plane';
import { meshClient, meshServer, registerMeshResolver } from 'inmesh/grpc';
import { Greeter, GreeterClient } from './greeter.mjs';

const plane = await createControlPlane({ ports: { xds: 0, secureXds: 0, http: 0 } });
const join = (service) =>
  createMesh({ service, controlPlane: plane.addresses.xds, cacheDir: false, leaveDelayMs: 0 });

const member = await join('greeter');
const server = meshServer(member);
server.addService(Greeter, {
  sayHello: (call, callback) => callback(null, { text: `hello ${call.request.name}` }),
  countDown(call) {
    for (let i = call.request.from; i > 0; i--) call.write({ count: i });
    call.end();
  },
});
await new Promise((resolve, reject) => {
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error) =>
    error ? reject(error) : resolve(),
  );
});

const mesh = await join('client');
const client = meshClient(mesh, GreeterClient, 'greeter');
const hello = (of) =>
  new Promise((resolve, reject) => {
    const metadata = new grpc.Metadata({ waitForReady: true });
    of.sayHello({ name: 'Ada' }, metadata, (error, answer) => (error ? reject(error) : resolve(answer.text)));
  });

// The client hears of the server when the control plane has told it.
let text;
for (let tries = 0; text === undefined && tries < 200; tries++) {
  text = await hello(client).catch(() => new Promise((resolve) => setTimeout(resolve, 50)));
}
console.log(text);
assert.equal(text, 'hello Ada');

const counts = [];
for await (const { count } of client.countDown({ from: 3 })) counts.push(count);
console.log(counts.join(' '));
assert.deepEqual(counts, [3, 2, 1]);

// A channel that knows of the mesh by its target alone, as one that a library makes.
registerMeshResolver(mesh);
const strange = new GreeterClient('mesh:///greeter', grpc.credentials.createInsecure());
assert.equal(await hello(strange), 'hello Ada');
assert.ok(/destination_principal="spiffe:[^}]*grpc_response_status="0"/.test(mesh.metrics()));

client.close();
strange.close();
await mesh.close();
await member.close();
await plane.close();
console.log('calls of gRPC by mutual TLS');
