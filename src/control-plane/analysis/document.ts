import { meshConfigSchema } from '../kinds/mesh-config-schema.js';
import type { FieldPath } from '../kinds/view.js';
import type { ConfigFile, Place } from '../schema/config-file.js';
import { isPlainObject, type PlainObject, type PlainValue } from '../schema/value.js';
import { labelsAt, map, text } from './plain.js';

/** The namespace of documents that name none. */
export const DEFAULT_NAMESPACE = 'default';

/** One document as analysis sees it: of any kind, as it is written. */
export interface AnalysisDocument {
  /** `networking.istio.io`; empty for Kubernetes' own. */
  readonly group: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** The namespace it is in; empty for kinds that are in none. */
  readonly namespace: string;
  /** What findings call it: `VirtualService shop/cart`, without the namespace when the document names none. */
  readonly origin: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly value: PlainObject;
  readonly spec: PlainObject;
  /** Whether it only stands for what every mesh has, so that nothing is found about it. */
  readonly isDefault: boolean;
  place(path: FieldPath, atKey: boolean): Place;
}

const CLUSTER_SCOPED: ReadonlySet<string> = new Set([
  'Namespace',
  'Node',
  'CustomResourceDefinition',
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
  'GatewayClass',
]);

const EMPTY: PlainObject = Object.freeze(Object.create(null));

/** What stands for a place in no file. */
const NO_PLACE: Place = { origin: { file: '', line: 0, column: 0 }, excerpt: undefined, length: 0 };

/** The documents of a file, those in lists among them. */
export function documentsOf(
  file: ConfigFile,
  values: readonly { readonly index: number; readonly value: PlainValue }[],
): readonly AnalysisDocument[] {
  const documents: AnalysisDocument[] = [];
  const pending: { index: number; prefix: FieldPath; value: PlainValue }[] = values.map((one) => ({
    ...one,
    prefix: [],
  }));
  for (const { index, prefix, value } of pending) {
    if (!isPlainObject(value)) continue;
    const items = itemsOf(value);
    for (const [number, item] of (items ?? []).entries()) {
      pending.push({ index, prefix: [...prefix, 'items', number], value: item });
    }
    if (items !== undefined) continue;
    const place = (path: FieldPath, atKey: boolean) => file.place(index, [...prefix, ...path], atKey);
    const document = toDocument(withImpliedKind(value), place);
    if (document !== undefined) documents.push(document);
  }
  return documents;
}

/** A document that stands in no file. */
export function defaultDocument(value: PlainObject): AnalysisDocument | undefined {
  const document = toDocument(value, () => NO_PLACE);
  return document && { ...document, isDefault: true };
}

function itemsOf(value: PlainObject): readonly PlainValue[] | undefined {
  const { kind, items } = value;
  return typeof kind === 'string' && kind.endsWith('List') && Array.isArray(items) ? items : undefined;
}

function toDocument(value: PlainObject, place: AnalysisDocument['place']): AnalysisDocument | undefined {
  const kind = text(value, 'kind');
  const apiVersion = text(value, 'apiVersion');
  const name = text(value, 'metadata', 'name');
  if (kind === '' || name === '') return undefined;
  const slash = apiVersion.indexOf('/');
  const given = text(value, 'metadata', 'namespace');
  const isNamespaced = !CLUSTER_SCOPED.has(kind);
  return {
    group: slash < 0 ? '' : apiVersion.slice(0, slash),
    apiVersion,
    kind,
    name,
    namespace: isNamespaced ? given || DEFAULT_NAMESPACE : '',
    origin: `${kind} ${given !== '' && isNamespaced ? `${given}/` : ''}${name}`,
    labels: labelsAt(value, 'metadata', 'labels'),
    annotations: labelsAt(value, 'metadata', 'annotations'),
    value,
    spec: map(value, 'spec') ?? EMPTY,
    isDefault: false,
    place,
  };
}

const MESH_CONFIG_FIELDS: ReadonlySet<string> = new Set(Object.keys(meshConfigSchema.shape));

/** A bare MeshConfig or MeshNetworks (as in `istio` of Istio's ConfigMap, or a file of its own) has no kind. */
function withImpliedKind(value: PlainObject): PlainObject {
  if ('kind' in value || 'apiVersion' in value) return value;
  if (isPlainObject(value['networks'])) return implied('MeshNetworks', 'meshnetworks', value);
  const fields = Object.keys(value);
  const isMeshConfig = fields.length > 0 && fields.every((name) => MESH_CONFIG_FIELDS.has(name));
  if (isMeshConfig) return implied('MeshConfig', 'istio', value);
  return value;
}

function implied(kind: string, name: string, spec: PlainObject): PlainObject {
  const metadata: PlainObject = { name, namespace: 'istio-system' };
  // Places of fields are those of the bare document: what is found in it names its fields without `spec`.
  return { ...spec, kind, metadata, spec };
}
