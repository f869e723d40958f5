import { LB_NAMESPACE, type MetadataStruct } from '../model/metadata.js';
import type { core } from '../proto/xds.js';
import { encodeMetadata } from './metadata.js';

/** What a route asks of the metadata of hosts. Envoy reads one namespace of it. */
export function decodeMetadataMatch(message: core.Metadata | undefined): MetadataStruct | undefined {
  return message?.filterMetadata[LB_NAMESPACE];
}

/** The `metadata_match` field of a message. */
export function encodeMetadataMatch(match: MetadataStruct | undefined): { metadataMatch?: core.Metadata } {
  const metadataMatch = match && encodeMetadata({ [LB_NAMESPACE]: match });
  return metadataMatch === undefined ? {} : { metadataMatch };
}
