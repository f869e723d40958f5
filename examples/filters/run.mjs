// Filters of an application: a server that wants an API key, and a client whose answers are in capitals.
// Control plane, server and client run in this process. Exits with 0 when everything is as it should be.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createMesh } from 'inmesh';
import { createControlPlane } from 'inmesh/control-plane';
import { apiKey } from './api-key.mjs';
import { shout } from './shout.mjs';

const plane = await createControlPlane({ ports: { xds: 0, secureXds: 0, http: 0 } });
const join = (options) =>
  createMesh({ controlPlane: plane.addresses.xds, cacheDir: false, leaveDelayMs: 0, ...options });

// The server's filter runs on what comes in, the client's on what goes out.
const greeter = await join({
  service: 'greeter',
  filters: [apiKey.use({ key: 'sesame', header: 'x-api-key' }, { directions: ['inbound'] })],
});
const server = createServer((request, response) => {
  response.setHeader('content-type', 'text/plain');
  response.end(`hello ${request.headers['x-api-key']}`);
});
await greeter.listen(server);

const client = await join({ service: 'client', filters: [shout.use(undefined, { place: 'last' })] });
const ask = (headers) => client.fetch('http://greeter/', { headers });

// The client hears of the server when the control plane has told it.
let refused = await ask({});
while (refused.status !== 401) refused = await ask({});
console.log(refused.status, refused.headers.get('x-inmesh-reason'), await refused.text());

const welcome = await ask({ 'x-api-key': 'sesame' });
const text = await welcome.text();
console.log(welcome.status, text);
assert.deepEqual([welcome.status, text], [200, 'HELLO SESAME']);
assert.match(greeter.metrics(), /inmesh_filter_refused\{inmesh_filter="acme\.filters\.ApiKey"\} 1/);

await client.close();
await greeter.close();
await plane.close();
