import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import type { CustomFilterTypes } from '../model/custom-filter.js';
import type { ResourceShortName } from '../model/resource-short-name.js';
import { anyIs } from '../proto/any.js';
import { readMessage } from '../proto/read-message.js';
import type { wkt } from '../proto/xds.js';
import { messageOf } from '../runtime/errors.js';
import type { Steps } from '../runtime/steps.js';
import { type Path, refuse, rootPath } from './path.js';

/** How one type of xDS resource travels: the two-way border between bytes and the model. */
export interface ResourceType<T> {
  readonly typeUrl: string;
  readonly short: ResourceShortName;
  /** State of the world: a response is the complete set, so absence means removal (LDS, CDS). */
  readonly complete: boolean;
  /** Whether it holds keys, which are for nobody's eyes and no disk. */
  readonly isSecret?: boolean | undefined;
  /**
   * Its names are `<namespace>/<rest>`, told by what is around the resource. A namespace stands for all names in it, and
   * a resource may answer for other names (VHDS).
   */
  readonly isNamespaced?: boolean | undefined;
  /** A removed value goes, although a response is not the complete set. */
  readonly isRemovable?: boolean | undefined;
  /**
   * Throws a MeshError `INMESH_XDS_DECODE` that names the field which we can't enforce or which is wrong. `custom` are the
   * filters of the application that the resource may configure.
   */
  decode(bytes: Uint8Array, custom?: CustomFilterTypes): Decoded<T>;
  /**
   * The same with pauses, for those whose resources may be large. What is equal in `held`, the value before, is taken
   * from there.
   */
  decodeInSteps?(bytes: Uint8Array, held: Held<T> | undefined, custom?: CustomFilterTypes): Steps<Decoded<T>>;
  encode(resource: T): Uint8Array;
}

/** A resource with its name. */
export interface Decoded<T> {
  readonly name: string;
  readonly resource: T;
}

/** A value in force with the bytes it was decoded from. */
export interface Held<T> {
  readonly bytes: Uint8Array;
  readonly resource: T;
}

/** What a resource type is made of; `M` is what stands between bytes and model. */
export interface ResourceTypeDefinition<T, M> {
  readonly typeUrl: string;
  readonly short: ResourceShortName;
  readonly complete: boolean;
  readonly isSecret?: boolean;
  readonly isNamespaced?: boolean;
  readonly isRemovable?: boolean;
  readonly parse: (bytes: Uint8Array, path: Path) => M;
  readonly nameOf: (parsed: M) => string;
  readonly decode: (parsed: M, path: Path) => T;
  /** Instead, when it may take long. */
  readonly decodeInSteps?: (parsed: M, path: Path, held: Held<T> | undefined) => Steps<T>;
  readonly encode: (resource: T) => Uint8Array;
  /** Whether a value says something by being received again. */
  readonly countsAnew?: (resource: T) => boolean;
}

/** Makes a resource type. */
export function defineResourceType<T, M>(definition: ResourceTypeDefinition<T, M>): ResourceType<T> {
  const { typeUrl, short, complete, decode, decodeInSteps: inSteps, encode, countsAnew } = definition;
  const open = (bytes: Uint8Array, custom: CustomFilterTypes | undefined) => {
    const parsed = definition.parse(bytes, rootPath(short));
    const name = definition.nameOf(parsed);
    if (name === '') refuse(rootPath(short), 'the name must not be empty');
    return { parsed, name, path: rootPath(`${short} ${name}`, custom) };
  };
  function* decodeInSteps(
    bytes: Uint8Array,
    held: Held<T> | undefined,
    custom?: CustomFilterTypes,
  ): Steps<Decoded<T>> {
    const { parsed, name, path } = open(bytes, custom);
    return {
      name,
      resource: inSteps === undefined ? decode(parsed, path) : yield* inSteps(parsed, path, held),
    };
  }
  return {
    typeUrl,
    short,
    complete,
    ...(definition.isSecret === true && { isSecret: true }),
    ...(definition.isNamespaced === true && { isNamespaced: true }),
    ...(definition.isRemovable === true && { isRemovable: true }),
    decode(bytes, custom) {
      const { parsed, name, path } = open(bytes, custom);
      return { name, resource: decode(parsed, path) };
    },
    ...(inSteps && { decodeInSteps }),
    ...(countsAnew && { countsAnew }),
    encode,
  };
}

/** The message in the bytes; refuses bytes that are none. */
export function decodeMessage<Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array,
  path: Path,
): MessageShape<Desc> {
  try {
    return readMessage(schema, bytes);
  } catch (cause) {
    return refuse(path, `is no valid ${schema.typeName}: ${messageOf(cause)}`, cause);
  }
}

/** The message in the `Any`, or undefined when it carries another type; refuses bytes that do not decode. */
export function decodeAny<Desc extends DescMessage>(
  schema: Desc,
  any: wkt.Any,
  path: Path,
): MessageShape<Desc> | undefined {
  return anyIs(any, schema) ? decodeMessage(schema, any.value, path) : undefined;
}

/** The same type, whose resources may configure filters of the application. */
export function withCustom<T>(type: ResourceType<T>, custom: CustomFilterTypes | undefined): ResourceType<T> {
  if (custom === undefined) return type;
  const { decodeInSteps } = type;
  return {
    ...type,
    decode: (bytes) => type.decode(bytes, custom),
    ...(decodeInSteps && { decodeInSteps: (bytes, held) => decodeInSteps(bytes, held, custom) }),
  };
}
