import { plainData } from '../runtime/plain-data.js';
import type { KindName, MeshDocument, Metadata } from './document.js';
import { KIND_HEADS } from './gen/kinds.js';
import type { ConfiguredMesh } from './mesh.js';

/** A line is no longer than that where it can be broken. */
const WIDTH = 100;
const NAME = /^[A-Za-z_$][\w$]*$/;
/** What Kubernetes writes into metadata is no configuration. */
const METADATA = ['name', 'namespace', 'labels', 'annotations'] as const;
/** Kinds whose builders take a name alone. */
const NAME_ONLY: ReadonlySet<string> = new Set(['Namespace', 'ServiceAccount']);

/**
 * Documents as TypeScript: a module with a mesh of them as its default export, made by the builders of `inmesh/config`.
 * What Kubernetes adds (`status`, `metadata.uid` …) is left out. It compiles where the documents are valid.
 */
export function toModule(documents: readonly MeshDocument[] | ConfiguredMesh): string {
  const list = 'documents' in documents ? documents.documents : documents;
  const used = new Set(['defineMesh']);
  const made = list.map((one) => `    ${documentText(one, used)},\n`);
  return [
    `import { ${[...used].sort().join(', ')} } from 'inmesh/config';\n`,
    '\n',
    'export default defineMesh({\n',
    `  documents: [${made.length === 0 ? '' : `\n${made.join('')}  `}],\n`,
    '});\n',
  ].join('');
}

function documentText(document: MeshDocument, used: Set<string>): string {
  // The types hold for TypeScript only.
  const {
    apiVersion,
    kind,
    metadata,
    status: _,
    ...rest
  } = plainData(document, 'document') as unknown as Content;
  const own = Object.fromEntries(
    METADATA.flatMap((key) => (metadata[key] === undefined ? [] : [[key, metadata[key]]])),
  );
  const name = kindNameOf(apiVersion, kind);
  if (name === undefined) return literal({ apiVersion, kind, metadata: own, ...rest }, 4);
  const { hasSpec } = KIND_HEADS[name];
  const isAlone = Object.keys(own).length === 1;
  const content = hasSpec ? (rest['spec'] ?? {}) : rest;
  const hasMore = hasSpec ? Object.keys(rest).some((key) => key !== 'spec') : false;
  if (hasMore) return literal({ apiVersion, kind, metadata: own, ...rest }, 4);
  const isNameOnly = NAME_ONLY.has(name);
  const builder = isNameOnly && Object.keys(rest).length > 0 ? 'document' : builderOf(name);
  used.add(builder);
  const args = [
    ...(builder === 'document' ? [quoted(name)] : []),
    isAlone ? literal(metadata.name, 4) : literal(own, 4),
    ...(isNameOnly && builder !== 'document' ? [] : [literal(content, 4)]),
  ];
  return `${builder}(${args.join(', ')})`;
}

interface Content {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly [field: string]: unknown;
}

/** The kind whose builder writes the same version; undefined = none does. */
function kindNameOf(apiVersion: string, kind: string): KindName | undefined {
  const names = Object.keys(KIND_HEADS) as KindName[];
  return names.find((name) => KIND_HEADS[name].kind === kind && KIND_HEADS[name].apiVersion === apiVersion);
}

/** `HTTPRoute` is made by `httpRoute`, `VirtualService` by `virtualService`. */
function builderOf(name: KindName): string {
  if (name === 'Gateway.gateway.networking.k8s.io') return 'gatewayApiGateway';
  if (name === 'BackendTLSPolicy') return 'backendTlsPolicy';
  return name.replace(/^[A-Z]+(?=[A-Z][a-z])|^[A-Z]/, (start) => start.toLowerCase());
}

/** A value as it stands in code, on one line where it fits. */
function literal(value: unknown, indent: number): string {
  const line = inline(value);
  if (indent + line.length <= WIDTH && !line.includes('\n')) return line;
  const inner = ' '.repeat(indent + 2);
  const close = ' '.repeat(indent);
  if (Array.isArray(value))
    return `[\n${value.map((one) => `${inner}${literal(one, indent + 2)},\n`).join('')}${close}]`;
  if (typeof value !== 'object' || value === null) return line;
  const fields = Object.entries(value).map(
    ([key, one]) => `${inner}${keyText(key)}: ${literal(one, indent + 2)},\n`,
  );
  return `{\n${fields.join('')}${close}}`;
}

function inline(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([key, one]) => `${keyText(key)}: ${inline(one)}`);
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`;
}

function keyText(key: string): string {
  return NAME.test(key) ? key : quoted(key);
}

/** In single quotes, as the examples are written. */
function quoted(text: string): string {
  const inner = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'");
  return `'${inner.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')}'`;
}
