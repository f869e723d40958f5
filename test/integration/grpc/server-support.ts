import * as grpc from '@grpc/grpc-js';
import { type MeshServerOptions, meshServer } from '../../../src/grpc.js';
import type { Mesh, MeshOptions } from '../../../src/index.js';
import type { World } from '../mesh/features-world.js';
import { TestClient, testService, testServiceHandlers } from './interop-service.js';

/** A service of gRPC in the mesh. */
export interface GrpcMember {
  readonly mesh: Mesh;
  readonly server: grpc.Server;
  readonly port: number;
}

export interface GrpcSetup extends MeshServerOptions {
  readonly mesh?: MeshOptions;
  readonly handlers?: grpc.UntypedServiceImplementation;
  readonly address?: string;
}

/** Serves gRPC's test service as `echo`, or with other handlers. */
export async function serveGrpc(world: World, setup: GrpcSetup = {}): Promise<GrpcMember> {
  const { mesh: options, handlers = {}, address = '127.0.0.1:0', ...own } = setup;
  const mesh = await world.join({ service: 'echo', leaveDelayMs: 0, ...options });
  const server = meshServer(mesh, own);
  server.addService(testService, { ...testServiceHandlers(), ...handlers });
  return { mesh, server, port: await bind(server, address) };
}

export function bind(
  server: grpc.Server,
  address: string,
  credentials: grpc.ServerCredentials = grpc.ServerCredentials.createInsecure(),
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => (error === null ? resolve(port) : reject(error)));
  });
}

/** A bare client of grpc-js: it knows nothing of the mesh. */
export function bareClient(
  world: World,
  port: number,
  credentials: grpc.ChannelCredentials = grpc.credentials.createInsecure(),
  options: grpc.ClientOptions = {},
): TestClient {
  const client = new TestClient(`127.0.0.1:${port}`, credentials, options);
  world.onClose(async () => client.close());
  return client;
}

/** Credentials of a client that presents a mesh's certificate, and takes whom its roots vouch for. */
export function credentialsOf(mesh: Mesh): grpc.ChannelCredentials {
  const svid = mesh.identity.svid();
  if (svid === undefined) throw new Error('there is no certificate yet');
  const roots = mesh.identity.bundle(svid.id.trustDomain)?.authorities.join('') ?? '';
  return grpc.credentials.createSsl(
    Buffer.from(roots),
    Buffer.from(svid.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
    Buffer.from(svid.certificatesPem.join('')),
    { checkServerIdentity: () => undefined },
  );
}

/** Code of a unary call's status, and its details. */
export function outcomeOf(
  client: TestClient,
  metadata: Record<string, string> = {},
  options: grpc.CallOptions = {},
): Promise<readonly [code: string, details: string]> {
  return new Promise((resolve) => {
    client.unaryCall({ responseSize: 3 }, metadataOf(metadata), options, (error) => {
      resolve(error === null ? ['OK', ''] : [grpc.status[error.code] ?? String(error.code), error.details]);
    });
  });
}

export function metadataOf(entries: Record<string, string>): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return metadata;
}
