import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe } from 'vitest';
import type { StaticMesh } from '../support/static-mesh.js';
import { interopCases } from './interop-cases.js';
import { TestClient } from './interop-service.js';
import { clientOf, grpcMesh, serveInterop } from './support.js';

/** The client's side of gRPC's interop tests, from their public description: by a plain channel, and through the mesh. */
let server: grpc.Server;
let mesh: StaticMesh;
const clients: { plain?: TestClient; mesh?: TestClient } = {};

beforeAll(async () => {
  const served = await serveInterop();
  ({ server } = served);
  mesh = grpcMesh([served.port]);
  clients.plain = new TestClient(`127.0.0.1:${served.port}`, grpc.credentials.createInsecure());
  clients.mesh = clientOf(mesh);
});

afterAll(async () => {
  clients.plain?.close();
  clients.mesh?.close();
  await mesh.close();
  server.forceShutdown();
});

describe.each(['plain', 'mesh'] as const)('%s', (name) => {
  // Made before any test runs.
  interopCases(() => clients[name] as TestClient);
});
