// The package's sub-path './grpc': generated grpc-js clients through the mesh, and gRPC servers as its members.
export { statusName } from './bindings/grpc/status-name.js';
