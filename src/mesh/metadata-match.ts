import { LB_NAMESPACE, type MetadataStruct } from '../model/metadata.js';
import type { DynamicMetadata } from '../service/context.js';

/** Joins what two levels ask of hosts; `over` goes before `under` where both have a key (Envoy). */
export function mergeMatches(
  under: MetadataStruct | undefined,
  over: MetadataStruct | undefined,
): MetadataStruct | undefined {
  if (under === undefined || over === undefined) return over ?? under;
  return { ...under, ...over };
}

/** Envoy: what filters say of the request under the same namespace goes before what its route says. */
export function withRequestMetadata(
  match: MetadataStruct | undefined,
  metadata: DynamicMetadata,
): MetadataStruct | undefined {
  // Filters write values as JSON has them.
  return mergeMatches(match, metadata.get(LB_NAMESPACE) as MetadataStruct | undefined);
}
