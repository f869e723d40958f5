import type { GrpcService } from './grpc-service.js';
import type { NetworkRbac } from './network-rbac.js';
import type { MetadataMatcher } from './value-matcher.js';

/** Envoy network ext_authz filter: a service decides who may connect. */
export interface NetworkExtAuthz {
  readonly kind: 'ext-authz';
  /** Stands before the names of figures. */
  readonly statPrefix: string;
  /** Asked over gRPC, 200 ms at most where it says nothing else. */
  readonly service: GrpcService;
  /** Lets connections in while the service has no answer. */
  readonly failureModeAllow: boolean;
  readonly includePeerCertificate: boolean;
  readonly includeTlsSession: boolean;
  /** Of the connection's dynamic metadata; undefined = it is asked about every connection. */
  readonly enabledMetadata: MetadataMatcher | undefined;
}

/** Something that decides who may connect. */
export type NetworkGuard = NetworkRbac | NetworkExtAuthz;
