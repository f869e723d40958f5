// The package's sub-path './grpc': generated grpc-js clients through the mesh, and gRPC servers as its members.
export { MeshChannel } from './bindings/grpc/channel.js';
export { type MeshCredentialsOptions, meshCredentials } from './bindings/grpc/credentials.js';
export {
  type ClientClass,
  type MeshClientOptions,
  meshChannel,
  meshChannelFactory,
  meshClient,
} from './bindings/grpc/mesh-client.js';
export { type MeshScheme, type ResolverOptions, registerMeshResolver } from './bindings/grpc/resolver.js';
export { statusName } from './bindings/grpc/status-name.js';
export { addClientStatus } from './bindings/grpc-server/client-status.js';
export { meshServerCredentials } from './bindings/grpc-server/credentials.js';
export { type MeshInterceptorOptions, meshServerInterceptors } from './bindings/grpc-server/interceptors.js';
export { reportLoad } from './bindings/grpc-server/loads.js';
export { type MeshServerOptions, meshServer } from './bindings/grpc-server/mesh-server.js';
