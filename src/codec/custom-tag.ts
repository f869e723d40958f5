import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { CustomTag, TagSource } from '../model/tracing.js';
import { metadata, tracing } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeFormat, readableHeader } from './header-mutation.js';
import { decodeMetadataPath, encodeMetadataPath } from './metadata-path.js';
import { at, type Path, refuse } from './path.js';

const tagFields = onlyFields(() => tracing.CustomTagSchema, {
  enforced: ['tag', 'literal', 'environment', 'request_header', 'metadata', 'value'],
});

/** Envoy: of two tags with the same name the later one counts. */
export function decodeCustomTags(messages: readonly tracing.CustomTag[], path: Path): readonly CustomTag[] {
  return messages.map((message, index) => decodeTag(message, at(path, 'custom_tags', index)));
}

function decodeTag(message: tracing.CustomTag, path: Path): CustomTag {
  tagFields(message, path);
  const { tag, type } = message;
  return { tag: text(tag, at(path, 'tag')), source: decodeSource(type, path) };
}

function decodeSource(type: tracing.CustomTag['type'], path: Path): TagSource {
  switch (type.case) {
    case 'literal':
      return { kind: 'literal', value: text(type.value.value, at(at(path, 'literal'), 'value')) };
    case 'environment': {
      const { name, defaultValue } = type.value;
      return { kind: 'environment', name: text(name, at(at(path, 'environment'), 'name')), defaultValue };
    }
    case 'requestHeader': {
      const { name, defaultValue } = type.value;
      return {
        kind: 'header',
        name: readableHeader(name, at(at(path, 'request_header'), 'name')),
        defaultValue,
      };
    }
    case 'metadata': {
      const { kind, metadataKey, defaultValue } = type.value;
      const of = kind?.kind.case;
      if (of === undefined) return refuse(at(at(path, 'metadata'), 'kind'), 'is required');
      const key = decodeMetadataPath(metadataKey, at(at(path, 'metadata'), 'metadata_key'));
      return { kind: 'metadata', of, path: key, defaultValue };
    }
    case 'value':
      return { kind: 'format', format: decodeFormat(type.value, at(path, 'value')) };
    default:
      return refuse(path, 'needs a source of its value');
  }
}

function text(value: string, path: Path): string {
  return value === '' ? refuse(path, 'must not be empty') : value;
}

/** The tags as messages. */
export function encodeCustomTags(tags: readonly CustomTag[]): tracing.CustomTag[] {
  return tags.map(({ tag, source }) => create(tracing.CustomTagSchema, { tag, type: encodeSource(source) }));
}

function encodeSource(
  source: TagSource,
): NonNullable<MessageInitShape<typeof tracing.CustomTagSchema>['type']> {
  switch (source.kind) {
    case 'literal':
      return { case: 'literal', value: create(tracing.CustomTag_LiteralSchema, { value: source.value }) };
    case 'environment': {
      const { name, defaultValue } = source;
      return {
        case: 'environment',
        value: create(tracing.CustomTag_EnvironmentSchema, { name, defaultValue }),
      };
    }
    case 'header': {
      const { name, defaultValue } = source;
      return { case: 'requestHeader', value: create(tracing.CustomTag_HeaderSchema, { name, defaultValue }) };
    }
    case 'format':
      return { case: 'value', value: source.format };
    default: {
      const value = create(tracing.CustomTag_MetadataSchema, {
        kind: metadataKind(source.of),
        metadataKey: encodeMetadataPath(source.path),
        defaultValue: source.defaultValue,
      });
      return { case: 'metadata', value };
    }
  }
}

function metadataKind(of: Extract<TagSource, { kind: 'metadata' }>['of']): metadata.MetadataKind {
  const kinds = {
    request: { case: 'request', value: {} },
    route: { case: 'route', value: {} },
    cluster: { case: 'cluster', value: {} },
    host: { case: 'host', value: {} },
  } as const;
  return create(metadata.MetadataKindSchema, { kind: kinds[of] });
}
