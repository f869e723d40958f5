import * as grpc from '@grpc/grpc-js';
import { type MeshClientOptions, meshChannel } from '../../../src/bindings/grpc/mesh-client.js';
import type { IdentitySource } from '../../../src/identity/source.js';
import type { OutboundTools } from '../../../src/mesh/outbound.js';
import type { Cluster } from '../../../src/model/cluster.js';
import type { RouteAction } from '../../../src/model/route.js';
import { DEFAULT_HTTP2_OPTIONS } from '../../../src/model/upstream-protocol.js';
import type { Observer } from '../../../src/service/observer.js';
import {
  cluster,
  createStaticMesh,
  endpoint,
  forward,
  host,
  type StaticMesh,
  snapshotOf,
} from '../support/static-mesh.js';
import { TestClient, testService, testServiceHandlers } from './interop-service.js';

/** How a service of tests is reached. */
export interface GrpcWorld {
  readonly change?: Partial<Cluster>;
  readonly action?: Partial<RouteAction>;
  readonly observer?: Observer;
  readonly identity?: IdentitySource;
  readonly tools?: Partial<OutboundTools>;
}

export const HTTP2 = { kind: 'http2', http2: DEFAULT_HTTP2_OPTIONS } as const;

/** A mesh in which `shop:50051` is served at these ports of this machine. */
export function grpcMesh(ports: readonly number[], world: GrpcWorld = {}): StaticMesh {
  const { change, action, observer, identity, tools } = world;
  return createStaticMesh(
    snapshotOf(
      [host('shop:50051', [forward('shop', { timeoutMs: 0, ...action })])],
      [
        cluster(
          'shop',
          ports.map((port) => endpoint(port)),
          { protocol: HTTP2, ...change },
        ),
      ],
    ),
    observer,
    identity,
    tools,
  );
}

export const SHOP = 'shop:50051';

/** A client of the interop service through a mesh. */
export function clientOf(mesh: StaticMesh, options: MeshClientOptions = {}): TestClient {
  return new TestClient(SHOP, options.credentials ?? grpc.credentials.createInsecure(), {
    ...options,
    channelOverride: meshChannel(mesh, SHOP, options),
  });
}

/** A grpc-js server at a free port of this machine. */
export async function serve(
  add: (server: grpc.Server) => void,
  credentials = grpc.ServerCredentials.createInsecure(),
  options: grpc.ServerOptions = {},
): Promise<{ readonly server: grpc.Server; readonly port: number }> {
  const server = new grpc.Server(options);
  add(server);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return { server, port };
}

/** A server of gRPC's interop tests. */
export function serveInterop(serverId?: string): ReturnType<typeof serve> {
  return serve((server) =>
    server.addService(
      testService as grpc.ServiceDefinition,
      testServiceHandlers(serverId === undefined ? {} : { serverId }),
    ),
  );
}
