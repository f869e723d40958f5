import { create, toBinary } from '@bufbuild/protobuf';
import { type core, discovery } from '../proto/xds.js';
import { errorDetail } from './nack.js';
import { type ResourceFailure, readFailures } from './resource-errors.js';
import { canonicalName } from './resource-name.js';
import { readMessage } from './sotw-messages.js';

/** One incremental request: a change of the subscription, an answer to a response, or both. */
export interface DeltaRequest {
  readonly typeUrl: string;
  readonly subscribe: Iterable<string>;
  readonly unsubscribe: Iterable<string>;
  /** Name to version of what is held; of the first request of a stream only. */
  readonly initialVersions: ReadonlyMap<string, string>;
  /** Of the response that this answers; empty on a request of our own accord. */
  readonly nonce: string;
  readonly node: core.Node | undefined;
  /** Set on a NACK. */
  readonly error: string | undefined;
}

/** One incremental response, its resources still packed. */
export interface DeltaResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly server: string | undefined;
  readonly resources: readonly discovery.Resource[];
  readonly removed: readonly string[];
  readonly failures: readonly ResourceFailure[];
}

/** Encodes a DeltaDiscoveryRequest. */
export function encodeDeltaRequest(request: DeltaRequest): Uint8Array {
  const message = create(discovery.DeltaDiscoveryRequestSchema, {
    typeUrl: request.typeUrl,
    resourceNamesSubscribe: [...request.subscribe],
    resourceNamesUnsubscribe: [...request.unsubscribe],
    responseNonce: request.nonce,
  });
  for (const [name, version] of request.initialVersions) message.initialResourceVersions[name] = version;
  if (request.node !== undefined) message.node = request.node;
  if (request.error !== undefined) message.errorDetail = errorDetail(request.error);
  return toBinary(discovery.DeltaDiscoveryRequestSchema, message);
}

/** Decodes a DeltaDiscoveryResponse; throws a MeshError when the bytes are none. */
export function decodeDeltaResponse(bytes: Uint8Array): DeltaResponse {
  const message = readMessage(discovery.DeltaDiscoveryResponseSchema, bytes);
  return {
    typeUrl: message.typeUrl,
    nonce: message.nonce,
    server: message.controlPlane?.identifier,
    resources: message.resources,
    removed: [...message.removedResources, ...message.removedResourceNames.map(({ name }) => name)].map(
      canonicalName,
    ),
    failures: readFailures(message.resourceErrors),
  };
}
