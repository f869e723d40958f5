import { create } from '@bufbuild/protobuf';
import type { MetadataPath } from '../model/rate-limit.js';
import { metadata } from '../proto/xds.js';
import { at, type Path, refuse } from './path.js';

/** The path to a value of metadata. */
export function decodeMetadataPath(message: metadata.MetadataKey | undefined, path: Path): MetadataPath {
  if (message === undefined) return refuse(path, 'is required');
  if (message.key === '') refuse(at(path, 'key'), 'must not be empty');
  if (message.path.length === 0) refuse(at(path, 'path'), 'must not be empty');
  const keys = message.path.map(({ segment }, index) =>
    segment.case === undefined || segment.value === ''
      ? refuse(at(path, 'path', index), 'must not be empty')
      : segment.value,
  );
  return { namespace: message.key, keys };
}

/** The path as a message. */
export function encodeMetadataPath({ namespace, keys }: MetadataPath): metadata.MetadataKey {
  return create(metadata.MetadataKeySchema, {
    key: namespace,
    path: keys.map((value) => ({ segment: { case: 'key' as const, value } })),
  });
}
