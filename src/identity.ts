export {
  type Authorizer,
  authorizeAliases,
  authorizeAll,
  authorizeAny,
  authorizeIds,
  authorizeOneOf,
  authorizePathPrefix,
  authorizeTrustDomains,
  authorizeUris,
} from './identity/authorizer.js';
export { createX509Bundle, type X509Bundle } from './identity/bundle.js';
export {
  type BundleEndpointOptions,
  type BundleSource,
  createBundleEndpointSource,
  type SpiffeProfile,
  type WebProfile,
} from './identity/bundle-endpoint/source.js';
export { type CaAddress, type CaSource, type CaSourceOptions, createCaSource } from './identity/ca-source.js';
export {
  type ConnectCallback,
  type ConnectTarget,
  closeAtExpiry,
  connectMeshTls,
  type MeshConnectDetails,
  type MeshConnection,
  type MeshConnectOptions,
  verifyServerSidePeer,
} from './identity/connect.js';
export { federate } from './identity/federated-source.js';
export {
  createFileSink,
  type FileSink,
  type FileSinkOptions,
  type SinkAction,
} from './identity/file-sink.js';
export { createFileSource, type FileSource, type FileSourceOptions } from './identity/file-source.js';
export type { AgentCredentials } from './identity/grpc-channel.js';
export {
  type CachedIdentity,
  createIdentityCache,
  type IdentityCache,
  type IdentityCacheOptions,
} from './identity/identity-cache.js';
export { createJwtBundle, type JwtAuthority, type JwtBundle, parseJwtBundle } from './identity/jwt-bundle.js';
export type { JwtSource } from './identity/jwt-source.js';
export { type JwtSvid, type JwtSvidOptions, validateJwtSvid } from './identity/jwt-svid.js';
export type { ReadCertificate } from './identity/read-certificate.js';
export { type RevocationList, revocationList } from './identity/revocation.js';
export type { RotatingSource } from './identity/rotation.js';
export { createSdsSource, type SdsSourceOptions } from './identity/sds-source.js';
export {
  createSettableSource,
  type IdentitySource,
  type IdentityState,
  type SettableSource,
  staticSource,
} from './identity/source.js';
export {
  createSpiffeBundle,
  encodeBundleMap,
  encodeSpiffeBundle,
  parseBundleMap,
  parseSpiffeBundle,
  type SpiffeBundle,
  type SpiffeBundleParts,
} from './identity/spiffe-bundle.js';
export { istioId, parseSpiffeId, parseTrustDomain, SpiffeId } from './identity/spiffe-id.js';
export { explainTlsError } from './identity/tls-error.js';
export {
  createMeshTls,
  type MeshServerOptions,
  type MeshTls,
  type MeshTlsOptions,
} from './identity/tls-options.js';
export type { Trust } from './identity/trust.js';
export { type VerifiedPeer, type VerifyOptions, verifyPeer } from './identity/verify.js';
export {
  createWorkloadApiClient,
  type WorkloadApiClient,
  type WorkloadApiOptions,
  type WorkloadWatch,
  type WorkloadWatcher,
} from './identity/workload-api/client.js';
export type { HintedSvid, X509Context } from './identity/workload-api/messages.js';
export {
  createWorkloadApiSource,
  type WorkloadApiSource,
  type WorkloadApiSourceOptions,
} from './identity/workload-api/source.js';
export type { CertificateFacts, GeneralName, NameConstraints } from './identity/x509.js';
export { parseX509Svid, type X509Svid } from './identity/x509-svid.js';
export type { Unsubscribe } from './runtime/abort.js';
export { type Clock, systemClock, type Timer } from './runtime/clock.js';
export { MeshError, type MeshErrorCode, type MeshErrorOptions } from './runtime/errors.js';
export { type Logger, silentLogger } from './runtime/log.js';
export { type Random, systemRandom } from './runtime/random.js';
export type { JsonObject, JsonValue } from './runtime/strict-json.js';
