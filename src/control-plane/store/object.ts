import { MeshError } from '../../runtime/errors.js';
import { isKindName, KIND_NAMES, kindNameOf } from '../kinds/kinds.js';
import type { KindName } from '../kinds/view.js';
import type { PlainObject, PlainValue } from '../schema/value.js';
import { isPlainObject } from '../schema/value.js';

/** What tells an object from all others. */
export interface ObjectName {
  readonly kind: KindName;
  readonly namespace: string;
  readonly name: string;
}

/** An object as clients write it, and who it is. */
export interface NamedObject extends ObjectName {
  /** As it is kept: without what only a store says of it. */
  readonly value: PlainObject;
  /** The revision that the writer has seen; the object must still have it. */
  readonly resourceVersion: string | undefined;
}

/** What a store or an API server puts in, and what is nobody's wish. */
const OF_THE_STORE: ReadonlySet<string> = new Set([
  'resourceVersion',
  'uid',
  'generation',
  'creationTimestamp',
  'managedFields',
  'selfLink',
]);
/** The annotation in which it stands where a shown object is from. */
export const SOURCE_ANNOTATION = 'inmesh.dev/source';
const ANNOTATIONS_OF_TOOLS: ReadonlySet<string> = new Set([
  SOURCE_ANNOTATION,
  'kubectl.kubernetes.io/last-applied-configuration',
]);

/**
 * Reads who an object is; its content is checked later, with all others.
 * @throws MeshError `INMESH_OPTION_INVALID`.
 */
export function nameObject(input: unknown): NamedObject {
  if (!isPlainObject(input)) throw invalid('an object must be a map with apiVersion, kind and metadata');
  const { kind: given, apiVersion, metadata } = input;
  const kind = typeof given === 'string' ? kindNameOf(given, apiVersion) : undefined;
  if (kind === undefined || !isKindName(kind))
    throw invalid(`unknown kind ${JSON.stringify(given ?? null)}; known are ${KIND_NAMES.join(', ')}`);
  if (!isPlainObject(metadata)) throw invalid(`a ${kind} needs metadata.name`);
  const { name, namespace = 'default', resourceVersion } = metadata;
  if (typeof name !== 'string' || name === '' || typeof namespace !== 'string')
    throw invalid(`a ${kind} needs metadata.name`);
  return {
    kind,
    namespace,
    name,
    value: kept(input, namespace),
    resourceVersion: typeof resourceVersion === 'string' ? resourceVersion : undefined,
  };
}

/** In one form, so that what is the same compares as the same: the namespace is said, and people's order of fields. */
function kept(input: PlainObject, namespace: string): PlainObject {
  const { status: _, apiVersion, kind, metadata, ...rest } = input;
  const own = Object.entries(isPlainObject(metadata) ? metadata : {}).filter(
    ([key]) => !OF_THE_STORE.has(key),
  );
  const { name, annotations, ...others } = Object.fromEntries(own);
  const wanted = ownAnnotations(annotations);
  const value = { apiVersion, kind, metadata: { name, ...others, ...wanted, namespace }, ...rest };
  // One form, whoever made the object: what is kept is compared with what was read back.
  return JSON.parse(JSON.stringify(value));
}

/** Without what is written there about the object: what was read is applied again as it was. */
function ownAnnotations(annotations: PlainValue | undefined): { readonly annotations?: PlainValue } {
  if (annotations === undefined || !isPlainObject(annotations))
    return annotations === undefined ? {} : { annotations };
  const own = Object.entries(annotations).filter(([name]) => !ANNOTATIONS_OF_TOOLS.has(name));
  return own.length === 0 ? {} : { annotations: Object.fromEntries(own) };
}

/** An object for eyes other than its owner's: of a Secret the values are left out. */
export function shownObject(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (value['kind'] !== 'Secret') return value;
  const hide = (field: unknown) =>
    typeof field === 'object' && field !== null
      ? Object.fromEntries(Object.keys(field).map((key) => [key, '(hidden)']))
      : field;
  return {
    ...value,
    ...('data' in value && { data: hide(value['data']) }),
    ...('stringData' in value && { stringData: hide(value['stringData']) }),
  };
}

/** `Kind namespace/name`, for people. */
export function objectText({ kind, namespace, name }: ObjectName): string {
  return `${kind} ${namespace}/${name}`;
}

function invalid(what: string): MeshError {
  return new MeshError('INMESH_OPTION_INVALID', what);
}
