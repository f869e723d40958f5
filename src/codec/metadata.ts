import { create } from '@bufbuild/protobuf';
import { type Metadata, NO_METADATA } from '../model/metadata.js';
import { core } from '../proto/xds.js';

/**
 * The structs of an Envoy Metadata by namespace, but for one that may be left out; typed metadata is for extensions that
 * nobody here has.
 */
export function decodeMetadata(message: core.Metadata | undefined, leftOut?: string): Metadata {
  const all: Metadata = message?.filterMetadata ?? NO_METADATA;
  const names = Object.keys(all).filter((name) => name !== leftOut);
  if (names.length === 0) return NO_METADATA;
  if (names.length === Object.keys(all).length) return all;
  return Object.fromEntries(Object.entries(all).filter(([name]) => name !== leftOut));
}

/** The metadata as a message; undefined when there is none. */
export function encodeMetadata(metadata: Metadata): core.Metadata | undefined {
  if (Object.keys(metadata).length === 0) return undefined;
  return create(core.MetadataSchema, {
    filterMetadata: JSON.parse(JSON.stringify(metadata)) as core.Metadata['filterMetadata'],
  });
}
