import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { controlPlaneIdentifier } from '../../model/control-plane-name.js';
import { version as ownVersion } from '../../runtime/version.js';
import type { EncodedResource, Framing, ResourceFault } from './encoded-resource.js';

const BYTES = WireType.LengthDelimited;

/** Field numbers of `DiscoveryResponse` and `DeltaDiscoveryResponse`; where both have a field, most numbers are equal. */
const VERSION = 1;
const RESOURCES = 2;
const TYPE_URL = 4;
const NONCE = 5;
const REMOVED = 6;
const SOTW_CONTROL_PLANE = 6;
const DELTA_CONTROL_PLANE = 7;
const SOTW_ERRORS = 7;
const DELTA_ERRORS = 9;

/*
 * Responses are put together from encoded fields: protobuf messages are concatenated by concatenating their bytes, so
 * the resources of a response are framed once, for all clients that it goes out to.
 */

/** Which of the two protocols a response belongs to. */
export type ProtocolName = 'sotw' | 'delta';

/** How resources travel. */
export interface FramingOptions {
  readonly protocol: ProtocolName;
  /** How long they count unless they are sent again; undefined = until they are removed. */
  readonly ttlMs: number | undefined;
  /** Without body: they are there unchanged. */
  readonly isHeartbeat: boolean;
}

/** The `resources` of a response. */
export function framingOf(typeUrl: string, options: FramingOptions): Framing {
  const { protocol, ttlMs } = options;
  if (protocol === 'sotw' && ttlMs === undefined) return (list) => sotwFields(typeUrl, list);
  const wrap = (writer: BinaryWriter, one: EncodedResource) => resource(writer, one, typeUrl, options);
  return protocol === 'delta' ? (list) => deltaFields(list, wrap) : (list) => wrappedFields(list, wrap);
}

type Wrap = (writer: BinaryWriter, one: EncodedResource) => void;

/** Of a DiscoveryResponse. */
function sotwFields(typeUrl: string, resources: readonly EncodedResource[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const { bytes } of resources) {
    writer.tag(RESOURCES, BYTES).fork();
    any(writer, typeUrl, bytes);
    writer.join();
  }
  return writer.finish();
}

/** Of a DiscoveryResponse to clients that unwrap (`xds.config.resource-in-sotw`). */
function wrappedFields(resources: readonly EncodedResource[], wrap: Wrap): Uint8Array {
  const writer = new BinaryWriter();
  for (const one of resources) {
    writer.tag(RESOURCES, BYTES).fork().tag(1, BYTES).string(WRAPPER).tag(2, BYTES).fork();
    wrap(writer, one);
    writer.join().join();
  }
  return writer.finish();
}

/** Of a DeltaDiscoveryResponse, each with its own version. */
function deltaFields(resources: readonly EncodedResource[], wrap: Wrap): Uint8Array {
  const writer = new BinaryWriter();
  for (const one of resources) {
    writer.tag(RESOURCES, BYTES).fork();
    wrap(writer, one);
    writer.join();
  }
  return writer.finish();
}

const WRAPPER = 'type.googleapis.com/envoy.service.discovery.v3.Resource';

/** The fields of a `Resource`. */
function resource(
  writer: BinaryWriter,
  { name, hash, bytes }: EncodedResource,
  typeUrl: string,
  { ttlMs, isHeartbeat }: FramingOptions,
): void {
  writer.tag(1, BYTES).string(hash);
  if (!isHeartbeat) {
    writer.tag(2, BYTES).fork();
    any(writer, typeUrl, bytes);
    writer.join();
  }
  writer.tag(3, BYTES).string(name);
  if (ttlMs === undefined) return;
  const seconds = Math.trunc(ttlMs / 1000);
  writer.tag(6, BYTES).fork().tag(1, WireType.Varint).int64(seconds);
  writer
    .tag(2, WireType.Varint)
    .int32(Math.round((ttlMs - seconds * 1000) * 1e6))
    .join();
}

function any(writer: BinaryWriter, typeUrl: string, bytes: Uint8Array): void {
  writer.tag(1, BYTES).string(typeUrl).tag(2, BYTES).bytes(bytes);
}

/** The `removed_resources` of a DeltaDiscoveryResponse. */
export function removedFields(names: Iterable<string>): Uint8Array {
  const writer = new BinaryWriter();
  for (const name of names) writer.tag(REMOVED, BYTES).string(name);
  return writer.finish();
}

/** The `resource_errors` of a response. */
export function errorFields(protocol: ProtocolName, faults: readonly ResourceFault[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const { name, code, message } of faults) {
    writer.tag(protocol === 'sotw' ? SOTW_ERRORS : DELTA_ERRORS, BYTES).fork();
    writer.tag(1, BYTES).fork().tag(1, BYTES).string(name).join();
    writer.tag(2, BYTES).fork().tag(1, WireType.Varint).int32(code).tag(2, BYTES).string(message).join();
    writer.join();
  }
  return writer.finish();
}

/** What a response says about itself. */
interface Head {
  readonly typeUrl: string;
  readonly version: string;
  readonly nonce: string;
}

/** The head of a DiscoveryResponse. */
export function sotwHead(head: Head): Uint8Array {
  return headFields(head, SOTW_CONTROL_PLANE);
}

/** The head of a DeltaDiscoveryResponse. */
export function deltaHead(head: Head): Uint8Array {
  return headFields(head, DELTA_CONTROL_PLANE);
}

const IDENTIFIER = controlPlaneIdentifier(ownVersion);

function headFields({ typeUrl, version, nonce }: Head, controlPlane: number): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(VERSION, BYTES).string(version).tag(TYPE_URL, BYTES).string(typeUrl);
  writer.tag(NONCE, BYTES).string(nonce);
  return writer.tag(controlPlane, BYTES).fork().tag(1, BYTES).string(IDENTIFIER).join().finish();
}
