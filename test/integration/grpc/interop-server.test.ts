import { afterAll, beforeAll, describe } from 'vitest';
import { meshClient } from '../../../src/grpc.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import { ALWAYS } from '../../../src/model/percent.js';
import { interopCases } from './interop-cases.js';
import { TestClient } from './interop-service.js';
import { bareClient, credentialsOf, serveGrpc } from './server-support.js';
import { ServerWorld } from './server-world.js';

/** The server's side of gRPC's interop tests: bare clients of grpc-js against servers of the mesh, and the mesh at both ends. */
let servers: ServerWorld;
const clients = new Map<string, TestClient>();

const addition = { name: 'x-seen', value: '%PROTOCOL%', action: 'add-if-absent', keepEmpty: false } as const;

const FILTERS: readonly FilterConfig[] = [
  {
    kind: 'header-mutation',
    request: [{ kind: 'set', addition }],
    response: [{ kind: 'set', addition }],
    mostSpecificWins: false,
  },
  // The bytes of every answer go through it.
  {
    kind: 'fault',
    delay: undefined,
    abort: undefined,
    responseRate: { limitKbps: 1_000_000, percentage: ALWAYS },
    upstreamCluster: '',
    headers: [],
    maxActiveFaults: undefined,
  },
];

beforeAll(async () => {
  servers = await ServerWorld.start();
  const { world } = servers;
  const echo = await serveGrpc(world);
  const filtered = await servers.serve({ filters: FILTERS });
  const mesh = await world.join();
  clients.set('plaintext', bareClient(world, echo.port));
  clients.set('mTLS', bareClient(world, echo.port, credentialsOf(mesh)));
  clients.set('plaintext, with filters', bareClient(world, filtered.port));
  clients.set('mTLS, with filters', bareClient(world, filtered.port, credentialsOf(mesh)));
  const through = meshClient(mesh, TestClient, 'echo');
  world.onClose(async () => through.close());
  clients.set('a client of the mesh', through);
});

afterAll(() => servers.close());

describe.each(['plaintext', 'mTLS', 'plaintext, with filters', 'mTLS, with filters', 'a client of the mesh'])(
  '%s',
  (name) => {
    // Made before any test runs.
    interopCases(() => clients.get(name) as TestClient);
  },
);
