import type { Mesh } from './bindings/join.js';
import type { MeshOptions } from './mesh/options.js';

export type { ListenTarget } from './bindings/http/listen.js';
export type { ReportedLoad } from './bindings/http/load/reported-load.js';
export type { Mesh } from './bindings/join.js';
export type { ConnectOptions } from './bindings/tcp/connect.js';
export type { MeshSocket } from './bindings/tcp/mesh-socket.js';
export type { BreakerStats, ClusterStats, HostStats } from './cluster/cluster-stats.js';
export type { HealthCheckStats } from './cluster/health/monitor.js';
export type { HostHealth } from './cluster/host.js';
export type { LbCounts } from './cluster/lb/lb-counts.js';
export type { SubsetStats } from './cluster/lb/load-balancer.js';
export type { ReportCounts } from './cluster/orca/report-session.js';
export type { LoadStreamStats } from './cluster/orca/report-sessions.js';
export type {
  DetectionType,
  DetectorType,
  OutlierStats,
  SuccessRates,
} from './cluster/outlier/stats.js';
export type { DefinedFilter, FilterPlace, FilterPlacing, FilterUse } from './filters/define-filter.js';
export type { FailureRateBreakerOptions } from './filters/failure-rate-breaker.js';
export type { ConfigDump, ConfigDumpOptions } from './mesh/admin/mesh-admin.js';
export type {
  ControlPlaneAuthority,
  ControlPlaneOptions,
  ControlPlaneServer,
  TlsCredentials,
} from './mesh/control-plane-options.js';
export type { MeshCore, OutboundTarget } from './mesh/core.js';
export type { FederatedTrustDomain } from './mesh/federation-option.js';
export type {
  GivenIdentity,
  IdentityOption,
  SdsIdentity,
  WorkloadApiIdentity,
} from './mesh/identity-option.js';
export type { MeshOptions } from './mesh/options.js';
export type { RuntimeOptions } from './mesh/runtime-option.js';
export type { ControlPlaneServerStatus, MeshStatus } from './mesh/status.js';
export type { FilterDirection } from './model/custom-filter.js';
export type { Locality } from './model/endpoint.js';
export type { Abort, AbortListener, Unsubscribe } from './runtime/abort.js';
export type { Clock, Timer } from './runtime/clock.js';
export { MeshError, type MeshErrorCode, type MeshErrorOptions } from './runtime/errors.js';
export { createTextLogger, type Logger, type LogLevel, silentLogger } from './runtime/log.js';
export type { Random } from './runtime/random.js';
export type {
  Body,
  BodyControl,
  BodySink,
  BytesBody,
  EmptyBody,
  NativeBody,
  PushBody,
} from './service/body.js';
export type { Completion, CompletionEnd, CompletionListener } from './service/completion.js';
export type {
  ConnectionInfo,
  PeerCertificate,
  RawConnection,
  SocketEnd,
  TlsInfo,
} from './service/connection.js';
export type {
  Attempt,
  AttemptTrace,
  ByteCounts,
  DynamicMetadata,
  EndAttempt,
  Exchange,
  ExchangeTiming,
  ExchangeTrace,
  GivenCookie,
  ResponseFlag,
  UpstreamInfo,
} from './service/context.js';
export { type AttemptExplanation, type Explanation, explain } from './service/explanation.js';
export type { GrpcMessages, MessageCounter } from './service/grpc-messages.js';
export type { BodyChange, HeadChange, ResponseChange, ResponseHead } from './service/head-change.js';
export { HeaderMap, type RawHeaders } from './service/headers.js';
export { type LocalReply, localReply } from './service/local-reply.js';
export type {
  AppliedEvent,
  ConnectionBytes,
  ConnectionEvent,
  EjectionEvent,
  ExchangeEnd,
  HealthEvent,
  Observer,
  RejectedEvent,
} from './service/observer.js';
export type { Filter, LocalReplyInfo, Request, RequestHead, Response, Service } from './service/service.js';
export type { RetryWishes, TimeLimits } from './service/time-limits.js';
export type { TransportFailure } from './service/transport-error.js';
export type { ServiceInfo, WorkloadInfo } from './service/workload.js';
export type { AccessLogOptions } from './telemetry/access-log.js';

/**
 * Joins the mesh. Next to `inmesh dev` no option is needed. It returns when configuration is in force, or after
 * `startupTimeoutMs` without one: requests to mesh hosts then wait for it up to `configurationTimeoutMs`.
 * @throws MeshError `INMESH_OPTION_INVALID` or `INMESH_BOOTSTRAP_INVALID`.
 */
export async function createMesh(options: MeshOptions = {}): Promise<Mesh> {
  // Loaded here, so that importing the package costs next to nothing.
  const { joinMesh } = await import('./bindings/join.js');
  return joinMesh(options);
}
export type { CallRetry, RetryThrottle } from './service/call-retry.js';
