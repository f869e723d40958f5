import { create, type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { readMessage as readBytes } from '../proto/read-message.js';
import { type core, discovery, type wkt } from '../proto/xds.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import { errorDetail } from './nack.js';
import { type ResourceFailure, readFailures } from './resource-errors.js';

/** One state-of-the-world request. */
export interface SotwRequest {
  readonly typeUrl: string;
  readonly names: Iterable<string>;
  readonly version: string;
  readonly nonce: string;
  readonly node: core.Node | undefined;
  /** Set on a NACK. */
  readonly error: string | undefined;
}

/** One state-of-the-world response, its resources still packed. */
export interface SotwResponse {
  readonly typeUrl: string;
  readonly version: string;
  readonly nonce: string;
  readonly server: string | undefined;
  readonly resources: readonly wkt.Any[];
  readonly failures: readonly ResourceFailure[];
}

/** Encodes a DiscoveryRequest. */
export function encodeRequest(request: SotwRequest): Uint8Array {
  const message = create(discovery.DiscoveryRequestSchema, {
    typeUrl: request.typeUrl,
    resourceNames: [...request.names],
    versionInfo: request.version,
    responseNonce: request.nonce,
  });
  if (request.node !== undefined) message.node = request.node;
  if (request.error !== undefined) message.errorDetail = errorDetail(request.error);
  return toBinary(discovery.DiscoveryRequestSchema, message);
}

/** Decodes a DiscoveryResponse; throws a MeshError when the bytes are none. */
export function decodeResponse(bytes: Uint8Array): SotwResponse {
  const message = readMessage(discovery.DiscoveryResponseSchema, bytes);
  return {
    typeUrl: message.typeUrl,
    version: message.versionInfo,
    nonce: message.nonce,
    server: message.controlPlane?.identifier,
    resources: message.resources,
    failures: readFailures(message.resourceErrors),
  };
}

/** Decodes a message of the server; throws a MeshError when the bytes are none. */
export function readMessage<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return readBytes(schema, bytes);
  } catch (cause) {
    throw new MeshError(
      'INMESH_XDS_DECODE',
      `the control plane sent a message that is no ${schema.name}: ${messageOf(cause)}`,
      {
        cause,
        hint: 'Check that the address is an xDS v3 server',
      },
    );
  }
}
