import { type DescMessage, fromJson, type JsonObject, type MessageShape } from '@bufbuild/protobuf';
import type { FilterConfig } from '../model/filter-config.js';
import { packAny } from '../proto/any.js';
import type { wkt } from '../proto/xds.js';
import { messageOf } from '../runtime/errors.js';
import { decodeMessage } from './codec.js';
import { type Path, refuse } from './path.js';

/** How the configuration of one kind of HTTP filter travels. */
export interface FilterCodec {
  readonly kind: FilterConfig['kind'];
  readonly schema: () => DescMessage;
  /** Whether routes, virtual hosts and weighted clusters may have their own configuration of it. */
  readonly isPerRoute: boolean | 'only';
  /** Whether it is for the requests of this process alone. */
  readonly isOutbound: boolean;
  readonly fromBytes: (bytes: Uint8Array, path: Path) => FilterConfig;
  readonly fromJson: (json: JsonObject, path: Path) => FilterConfig;
  /** Refuses what only the filter's own configuration may leave out or have. */
  readonly checkRoute: (config: FilterConfig, path: Path) => void;
  readonly toAny: (config: FilterConfig) => wkt.Any;
}

/** What a filter's codec is made of. */
export interface FilterCodecDefinition<C extends FilterConfig, Desc extends DescMessage> {
  readonly kind: C['kind'];
  readonly schema: () => Desc;
  readonly isPerRoute: boolean | 'only';
  /** Default false. */
  readonly isOutbound?: boolean;
  readonly decode: (message: MessageShape<Desc>, path: Path) => C;
  readonly encode: (config: C) => MessageShape<Desc>;
  readonly checkRoute?: (config: C, path: Path) => void;
}

/** Makes the codec of one kind of filter. */
export function filterCodec<C extends FilterConfig, Desc extends DescMessage>(
  definition: FilterCodecDefinition<C, Desc>,
): FilterCodec {
  const { kind, schema, isPerRoute, isOutbound = false, decode, encode, checkRoute } = definition;
  return {
    kind,
    schema,
    isPerRoute,
    isOutbound,
    fromBytes: (bytes, path) => decode(decodeMessage(schema(), bytes, path), path),
    fromJson: (json, path) => decode(messageFromJson(schema(), json, path), path),
    // The tables of codecs are asked by kind, so the configuration is the one that this codec is for.
    checkRoute: (config, path) => checkRoute?.(config as C, path),
    toAny: (config) => packAny(schema(), encode(config as C)),
  };
}

function messageFromJson<Desc extends DescMessage>(
  schema: Desc,
  json: JsonObject,
  path: Path,
): MessageShape<Desc> {
  try {
    return fromJson(schema, json);
  } catch (cause) {
    return refuse(path, `is no valid ${schema.typeName}: ${messageOf(cause)}`, cause);
  }
}
