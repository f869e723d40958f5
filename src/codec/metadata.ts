import { create } from '@bufbuild/protobuf';
import { type Metadata, NO_METADATA } from '../model/metadata.js';
import { core } from '../proto/xds.js';

/** The structs of an Envoy Metadata by namespace; typed metadata is for extensions that nobody here has. */
export function decodeMetadata(message: core.Metadata | undefined): Metadata {
  return message === undefined || Object.keys(message.filterMetadata).length === 0
    ? NO_METADATA
    : message.filterMetadata;
}

/** The metadata as a message; undefined when there is none. */
export function encodeMetadata(metadata: Metadata): core.Metadata | undefined {
  if (Object.keys(metadata).length === 0) return undefined;
  return create(core.MetadataSchema, {
    filterMetadata: JSON.parse(JSON.stringify(metadata)) as core.Metadata['filterMetadata'],
  });
}
