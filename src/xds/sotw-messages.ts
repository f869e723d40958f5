import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { anyIs } from '../proto/any.js';
import { type core, discovery, rpc, type wkt } from '../proto/xds.js';
import { MeshError, messageOf } from '../runtime/errors.js';

/** Envoy refuses with 13 (INTERNAL), gRPC with 3 (INVALID_ARGUMENT); servers read only that there is an error. */
const NACK_CODE = 13;

/** Envoy: the message of a NACK is cut at 4096 bytes. */
const MAX_ERROR_BYTES = 4096;
const CUT_MARK = '...(truncated)';

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
  readonly resources: readonly wkt.Any[];
}

/** A resource taken out of its wrappers; `error` says why it could not be. */
export type Unpacked =
  | { readonly name: string; readonly bytes: Uint8Array | undefined; readonly error: undefined }
  | { readonly name: string | undefined; readonly bytes: undefined; readonly error: string };

/** Encodes a DiscoveryRequest. */
export function encodeRequest(request: SotwRequest): Uint8Array {
  const message = create(discovery.DiscoveryRequestSchema, {
    typeUrl: request.typeUrl,
    resourceNames: [...request.names],
    versionInfo: request.version,
    responseNonce: request.nonce,
  });
  if (request.node !== undefined) message.node = request.node;
  if (request.error !== undefined) {
    message.errorDetail = create(rpc.StatusSchema, { code: NACK_CODE, message: cut(request.error) });
  }
  return toBinary(discovery.DiscoveryRequestSchema, message);
}

/** Decodes a DiscoveryResponse; throws a MeshError when the bytes are none. */
export function decodeResponse(bytes: Uint8Array): SotwResponse {
  try {
    const message = fromBinary(discovery.DiscoveryResponseSchema, bytes);
    return {
      typeUrl: message.typeUrl,
      version: message.versionInfo,
      nonce: message.nonce,
      resources: message.resources,
    };
  } catch (cause) {
    throw new MeshError(
      'INMESH_XDS_DECODE',
      `the control plane sent a message that is no DiscoveryResponse: ${messageOf(cause)}`,
      {
        cause,
        hint: 'Check that the address is an xDS v3 server',
      },
    );
  }
}

/** Takes a resource out of its `Any` and, if it is there, out of `envoy.service.discovery.v3.Resource`. */
export function unpackResource(any: wkt.Any, typeUrl: string): Unpacked {
  try {
    if (!anyIs(any, discovery.ResourceSchema)) return unpackPlain(any, typeUrl);
    const wrapper = fromBinary(discovery.ResourceSchema, any.value);
    const name = wrapper.name === '' ? undefined : wrapper.name;
    // Not advertised in client_features, so no server should send it: what is not enforced is not acknowledged.
    if (wrapper.ttl !== undefined) return { name, bytes: undefined, error: 'ttl: is not supported' };
    if (wrapper.resource !== undefined) return unpackPlain(wrapper.resource, typeUrl);
    // A heartbeat: the resource is still there, unchanged.
    return name === undefined
      ? failed(name, 'resource: is missing')
      : { name, bytes: undefined, error: undefined };
  } catch (error) {
    return failed(undefined, `cannot be decoded: ${messageOf(error)}`);
  }
}

function unpackPlain(any: wkt.Any, typeUrl: string): Unpacked {
  if (typeNameIn(any.typeUrl) !== typeNameIn(typeUrl)) {
    return failed(
      undefined,
      `is of type ${JSON.stringify(any.typeUrl)} in a response of type ${JSON.stringify(typeUrl)}`,
    );
  }
  const name = peekName(any.value);
  return name === ''
    ? failed(undefined, 'name: must not be empty')
    : { name, bytes: any.value, error: undefined };
}

function failed(name: string | undefined, error: string): Unpacked {
  return { name, bytes: undefined, error };
}

function typeNameIn(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}

/**
 * The resource's name without decoding the rest: every top-level xDS resource carries it in field 1. Reading it first
 * lets unrequested and unchanged resources pass undecoded, and names a resource whose rest does not decode.
 */
function peekName(bytes: Uint8Array): string {
  const reader = new BinaryReader(bytes);
  let name = '';
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    // Protobuf: the last occurrence of a field wins.
    if (field === 1 && wireType === WireType.LengthDelimited) name = reader.string();
    else reader.skip(wireType, field);
  }
  return name;
}

function cut(message: string): string {
  const bytes = Buffer.from(message);
  if (bytes.length <= MAX_ERROR_BYTES) return message;
  // A character cut in half at the end decodes to U+FFFD: drop it.
  const head = bytes
    .subarray(0, MAX_ERROR_BYTES - CUT_MARK.length)
    .toString()
    .replace(/\uFFFD+$/, '');
  return head + CUT_MARK;
}
