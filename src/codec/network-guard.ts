import { create } from '@bufbuild/protobuf';
import type { NetworkExtAuthz, NetworkGuard } from '../model/network-guard.js';
import { packAny } from '../proto/any.js';
import { core, listener, networkExtAuthz, networkRbac, type wkt } from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { onlyFields } from './field-guard.js';
import { decodeGrpcService, encodeGrpcService } from './grpc-service.js';
import { decodeNetworkRbac, encodeNetworkRbac } from './network-rbac.js';
import { at, type Path, refuse, required } from './path.js';
import { decodeMetadataMatcher, encodeMetadataMatcher } from './value-matcher.js';

const NAME = 'envoy.filters.network.ext_authz';

const authzFields = onlyFields(() => networkExtAuthz.ExtAuthzSchema, {
  enforced: [
    'stat_prefix',
    'grpc_service',
    'failure_mode_allow',
    'include_peer_certificate',
    'transport_api_version',
    'filter_enabled_metadata',
    'include_tls_session',
  ],
});

/** Who may connect, or who is asked that; undefined when the filter is of another kind. */
export function decodeNetworkGuard(any: wkt.Any, path: Path): NetworkGuard | undefined {
  const rbac = decodeAny(networkRbac.RBACSchema, any, path);
  if (rbac !== undefined) return decodeNetworkRbac(rbac, path);
  const authz = decodeAny(networkExtAuthz.ExtAuthzSchema, any, path);
  return authz && decodeExtAuthz(authz, path);
}

function decodeExtAuthz(message: networkExtAuthz.ExtAuthz, path: Path): NetworkExtAuthz {
  authzFields(message, path);
  const { statPrefix, grpcService, filterEnabledMetadata: enabled } = message;
  if (statPrefix === '') refuse(at(path, 'stat_prefix'), 'must not be empty');
  // Envoy: the default of the field is a version that is gone.
  if (message.transportApiVersion !== core.ApiVersion.V3)
    refuse(at(path, 'transport_api_version'), 'must be V3');
  const servicePath = at(path, 'grpc_service');
  return {
    kind: 'ext-authz',
    statPrefix,
    service: decodeGrpcService(required(grpcService, servicePath), servicePath),
    failureModeAllow: message.failureModeAllow,
    includePeerCertificate: message.includePeerCertificate,
    includeTlsSession: message.includeTlsSession,
    enabledMetadata: enabled && decodeMetadataMatcher(enabled, at(path, 'filter_enabled_metadata')),
  };
}

/** The same as a network filter. */
export function encodeNetworkGuard(guard: NetworkGuard): listener.Filter {
  if (guard.kind === undefined) return encodeNetworkRbac(guard);
  const { statPrefix, service, failureModeAllow, includePeerCertificate, includeTlsSession } = guard;
  const message = create(networkExtAuthz.ExtAuthzSchema, {
    statPrefix,
    grpcService: encodeGrpcService(service),
    failureModeAllow,
    includePeerCertificate,
    includeTlsSession,
    transportApiVersion: core.ApiVersion.V3,
  });
  if (guard.enabledMetadata !== undefined)
    message.filterEnabledMetadata = encodeMetadataMatcher(guard.enabledMetadata);
  return create(listener.FilterSchema, {
    name: NAME,
    configType: { case: 'typedConfig', value: packAny(networkExtAuthz.ExtAuthzSchema, message) },
  });
}
