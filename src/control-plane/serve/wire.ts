import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { controlPlaneIdentifier } from '../../model/control-plane-name.js';
import { version as ownVersion } from '../../runtime/version.js';
import type { EncodedResource } from './encoded-resource.js';

const BYTES = WireType.LengthDelimited;

/** Field numbers of `DiscoveryResponse` and `DeltaDiscoveryResponse`; where both have a field, most numbers are equal. */
const VERSION = 1;
const RESOURCES = 2;
const TYPE_URL = 4;
const NONCE = 5;
const REMOVED = 6;
const SOTW_CONTROL_PLANE = 6;
const DELTA_CONTROL_PLANE = 7;

/*
 * Responses are put together from encoded fields: protobuf messages are concatenated by concatenating their bytes, so
 * the resources of a response are framed once, for all clients that it goes out to.
 */

/** The `resources` of a DiscoveryResponse. */
export function sotwFields(typeUrl: string, resources: readonly EncodedResource[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const { bytes } of resources) {
    writer.tag(RESOURCES, BYTES).fork();
    any(writer, typeUrl, bytes);
    writer.join();
  }
  return writer.finish();
}

/** The `resources` of a DeltaDiscoveryResponse, each with its own version. */
export function deltaFields(typeUrl: string, resources: readonly EncodedResource[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const { name, hash, bytes } of resources) {
    writer.tag(RESOURCES, BYTES).fork();
    writer.tag(1, BYTES).string(hash).tag(2, BYTES).fork();
    any(writer, typeUrl, bytes);
    writer.join().tag(3, BYTES).string(name).join();
  }
  return writer.finish();
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
