import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe } from 'vitest';
import { registerMeshResolver } from '../../../src/bindings/grpc/resolver.js';
import type { StaticMesh } from '../support/static-mesh.js';
import { interopCases } from './interop-cases.js';
import { TestClient } from './interop-service.js';
import { clientOf, grpcMesh, SHOP, serveInterop } from './support.js';

/**
 * The client's side of gRPC's interop tests, from their public description: by a plain channel, through the mesh, and by a
 * channel of grpc-js whose target the mesh resolves.
 */
let server: grpc.Server;
let mesh: StaticMesh;
const clients: { plain?: TestClient; mesh?: TestClient; resolver?: TestClient } = {};

beforeAll(async () => {
  const served = await serveInterop();
  ({ server } = served);
  mesh = grpcMesh([served.port]);
  clients.plain = new TestClient(`127.0.0.1:${served.port}`, grpc.credentials.createInsecure());
  clients.mesh = clientOf(mesh);
  registerMeshResolver(mesh);
  clients.resolver = new TestClient(`mesh:///${SHOP}`, grpc.credentials.createInsecure());
});

afterAll(async () => {
  clients.plain?.close();
  clients.mesh?.close();
  clients.resolver?.close();
  // grpc-js (1.14) forgets a call that is cancelled before its filters ran: its stream is open until the server ends it.
  server.forceShutdown();
  await mesh.close();
});

describe.each(['plain', 'mesh', 'resolver'] as const)('%s', (name) => {
  // Made before any test runs.
  interopCases(() => clients[name] as TestClient);
});
