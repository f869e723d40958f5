import { create, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { readMessage } from '../proto/read-message.js';
import { admin, type core, status, wkt } from '../proto/xds.js';
import type { RefusedValue, ResourceState } from './resource-entry.js';
import type { ResourceStatus } from './store.js';

/** Who asks for what is no business of this client. */
class UnsupportedStatusRequest extends Error {
  override readonly name = 'UnsupportedStatusRequest';
}

/** What a client tells of itself. */
export interface ClientView {
  readonly node: core.Node;
  readonly resources: Iterable<ResourceStatus>;
}

/**
 * Answers a ClientStatusRequest (CSDS, gRFC A40) with one.
 * @throws UnsupportedStatusRequest for requests that choose nodes: a client knows no other than itself.
 */
export function answerClientStatus(request: Uint8Array, view: ClientView): Uint8Array {
  const asked = readMessage(status.ClientStatusRequestSchema, request);
  if (asked.nodeMatchers.length > 0) {
    throw new UnsupportedStatusRequest('node_matchers are not supported by a client');
  }
  const config = create(status.ClientConfigSchema, { node: view.node });
  for (const resource of view.resources) {
    config.genericXdsConfigs.push(genericConfig(resource, asked.excludeResourceContents));
  }
  const answer = create(status.ClientStatusResponseSchema, { config: [config] });
  return toBinary(status.ClientStatusResponseSchema, answer);
}

function genericConfig(
  { typeUrl, name, state, version, bytes, updatedAtMs, refused, error }: ResourceStatus,
  isBare: boolean,
): status.ClientConfig_GenericXdsConfig {
  const config = create(status.ClientConfig_GenericXdsConfigSchema, {
    typeUrl,
    name,
    versionInfo: version,
    clientStatus: clientStatusOf(state),
  });
  // Nobody needs to see secrets to know whether they came.
  const isShown = !isBare && !isSecret(typeUrl);
  if (bytes !== undefined && isShown) config.xdsConfig = packed(typeUrl, bytes);
  if (updatedAtMs !== undefined) config.lastUpdated = timestampFromMs(updatedAtMs);
  if (refused !== undefined) config.errorState = errorState(typeUrl, refused, isShown);
  // gRFC A88: what the server said in place of a value.
  else if (error !== undefined)
    config.errorState = create(admin.UpdateFailureStateSchema, { details: error.message });
  return config;
}

/** What is wrong with the value received last. */
function errorState(
  typeUrl: string,
  { bytes, version, error, atMs }: RefusedValue,
  isShown: boolean,
): admin.UpdateFailureState {
  const failure = create(admin.UpdateFailureStateSchema, {
    details: error.message,
    versionInfo: version,
    lastUpdateAttempt: timestampFromMs(atMs),
  });
  if (isShown) failure.failedConfiguration = packed(typeUrl, bytes);
  return failure;
}

/** The state in the protocol's words. */
export function clientStatusOf(state: ResourceState): admin.ClientResourceStatus {
  const { REQUESTED, ACKED, NACKED, DOES_NOT_EXIST, RECEIVED_ERROR, TIMEOUT } = admin.ClientResourceStatus;
  switch (state) {
    case 'requested':
      return REQUESTED;
    case 'acked':
      return ACKED;
    case 'nacked':
      return NACKED;
    case 'does-not-exist':
      return DOES_NOT_EXIST;
    case 'received-error':
      return RECEIVED_ERROR;
    case 'timeout':
      return TIMEOUT;
  }
}

/** A resource as it travels. */
export function packed(typeUrl: string, value: Uint8Array): wkt.Any {
  return create(wkt.AnySchema, { typeUrl, value });
}

/** Whether resources of a type are secrets. */
export function isSecret(typeUrl: string): boolean {
  return typeUrl.endsWith('.Secret');
}
