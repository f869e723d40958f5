import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { GrpcService, NamedFormat } from '../model/grpc-service.js';
import { core } from '../proto/xds.js';
import { decodeOptionalDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { decodeHeaderValue, headerName } from './header-mutation.js';
import { at, type Path, refuse } from './path.js';

const serviceFields = onlyFields(() => core.GrpcServiceSchema, {
  enforced: ['envoy_grpc', 'timeout', 'initial_metadata'],
});
const envoyFields = onlyFields(() => core.GrpcService_EnvoyGrpcSchema, {
  enforced: ['cluster_name', 'authority', 'max_receive_message_length'],
  // The headers that it leaves out are never sent.
  ignored: ['skip_envoy_headers'],
});

/** The service; that of Google's library is refused. */
export function decodeGrpcService(message: core.GrpcService, path: Path): GrpcService {
  serviceFields(message, path);
  const { targetSpecifier: target, timeout, initialMetadata } = message;
  if (target.case !== 'envoyGrpc') return refuse(at(path, 'envoy_grpc'), 'is required');
  envoyFields(target.value, at(path, 'envoy_grpc'));
  const { clusterName, authority, maxReceiveMessageLength } = target.value;
  if (clusterName === '') refuse(at(at(path, 'envoy_grpc'), 'cluster_name'), 'must not be empty');
  if (/[\0\r\n\s]/.test(authority)) refuse(at(at(path, 'envoy_grpc'), 'authority'), 'is no host');
  return {
    cluster: clusterName,
    authority,
    timeoutMs: decodeOptionalDuration(timeout, at(path, 'timeout')),
    initialMetadata: decodeNamedFormats(initialMetadata, path, 'initial_metadata'),
    maxReceiveBytes: maxReceiveMessageLength,
  };
}

/** The service as a message. */
export function encodeGrpcService(service: GrpcService): core.GrpcService {
  const { cluster, authority, timeoutMs, initialMetadata, maxReceiveBytes } = service;
  const envoy: MessageInitShape<typeof core.GrpcService_EnvoyGrpcSchema> = {
    clusterName: cluster,
    authority,
  };
  if (maxReceiveBytes !== undefined) envoy.maxReceiveMessageLength = maxReceiveBytes;
  const message = create(core.GrpcServiceSchema, {
    targetSpecifier: { case: 'envoyGrpc', value: create(core.GrpcService_EnvoyGrpcSchema, envoy) },
    initialMetadata: encodeNamedFormats(initialMetadata),
  });
  if (timeoutMs !== undefined) message.timeout = encodeDuration(timeoutMs);
  return message;
}

/** Headers with format strings. */
export function decodeNamedFormats(
  values: readonly core.HeaderValue[],
  path: Path,
  field: string,
): readonly NamedFormat[] {
  return values.map((value, index) => ({
    name: headerName(value.key, at(at(path, field, index), 'key')),
    value: decodeHeaderValue(value, at(path, field, index)),
  }));
}

/** The headers as messages. */
export function encodeNamedFormats(formats: readonly NamedFormat[]): core.HeaderValue[] {
  return formats.map(({ name, value }) => create(core.HeaderValueSchema, { key: name, value }));
}
