import { MeshError } from '../runtime/errors.js';
import { plainData } from '../runtime/plain-data.js';
import type { KindContents, KindHeads, KindVersions } from './gen/fields.js';
import { KIND_HEADS } from './gen/kinds.js';

/** The kinds of documents. Two are called Gateway; that of the Gateway API has its group in the name. */
export type KindName = keyof KindContents;

/** What a document is called, and what else is said of it. */
export interface Metadata {
  readonly name: string;
  /** By default that of the mesh it is part of, and `default` after all. */
  readonly namespace?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** What `kind` says in documents of a kind. */
export type YamlKind<K extends KindName> = KindHeads[K]['kind'];

/** A document of a kind, as YAML would write it. */
export type MeshDocument<K extends KindName = KindName> = K extends KindName
  ? {
      readonly apiVersion: KindVersions[K];
      readonly kind: YamlKind<K>;
      readonly metadata: Metadata;
    } & (KindHeads[K]['hasSpec'] extends true ? { readonly spec: KindContents[K] } : KindContents[K])
  : never;

/** A name, or all metadata. */
export type NameOrMetadata = string | Metadata;

/** The metadata that a name, or metadata, stand for. */
export function metadataOf(name: NameOrMetadata): Metadata {
  return typeof name === 'string' ? { name } : name;
}

/**
 * A document of any kind: frozen plain data, in the newest version of its kind. The builders of the kinds say the same
 * with less: `virtualService(name, spec)` is `document('VirtualService', name, spec)`.
 * @throws MeshError `INMESH_CONFIG_INVALID` for what is no plain data; the rules of the kinds are checked by `validate`.
 */
export function document<K extends KindName>(
  kind: K,
  name: NameOrMetadata,
  content: KindContents[K],
): MeshDocument<K> {
  if (!Object.hasOwn(KIND_HEADS, kind)) {
    throw new MeshError('INMESH_CONFIG_UNKNOWN_KIND', `unknown kind ${JSON.stringify(kind)}`, {
      hint: `Known are ${Object.keys(KIND_HEADS).join(', ')}`,
    });
  }
  const { apiVersion, kind: yamlKind, hasSpec } = KIND_HEADS[kind];
  const metadata = metadataOf(name);
  if (typeof metadata?.name !== 'string' || metadata.name === '')
    throw new MeshError('INMESH_CONFIG_INVALID', `a ${yamlKind} needs a name`);
  const whole = hasSpec
    ? { apiVersion, kind: yamlKind, metadata, spec: content }
    : { ...content, apiVersion, kind: yamlKind, metadata };
  const { name: own, namespace, labels, annotations, ...more } = metadata;
  const ordered = { name: own, namespace, labels, annotations, ...more };
  const { apiVersion: first, kind: second, metadata: _, ...rest } = whole;
  // The table of kinds is made of the same definitions as the types.
  return plainData(
    { apiVersion: first, kind: second, metadata: ordered, ...rest },
    `${yamlKind} ${namespace === undefined ? '' : `${namespace}/`}${own}`,
  ) as unknown as MeshDocument<K>;
}

/** Gives a frozen document fields that are not part of its data: they are neither listed nor written nor compared. */
export function withHandle<D extends object, H extends object>(data: D, handle: H): D & H {
  const fields = Object.entries(handle).map(([name, value]) => [name, { value, enumerable: false }]);
  // The copy has the fields of both.
  return Object.freeze(
    Object.defineProperties({ ...data }, Object.fromEntries(fields) as PropertyDescriptorMap),
  ) as D & H;
}
