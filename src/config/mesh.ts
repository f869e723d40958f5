import type { Violation } from '../control-plane.js';
import { MeshError } from '../runtime/errors.js';
import { plainData } from '../runtime/plain-data.js';
import type { MeshDocument, Metadata } from './document.js';
import { type Plain, yamlText } from './yaml-text.js';

/** Documents of a mesh: one, another mesh with all of its documents, or lists of these. */
export type MeshPart = MeshDocument | ConfiguredMesh | readonly MeshPart[];

/** What `defineMesh` takes. */
export interface MeshDefinition {
  /** Of documents that name none. By default they are in `default`. */
  readonly namespace?: string | undefined;
  readonly documents: readonly MeshPart[];
}

/** How a mesh is validated. */
export interface MeshValidation {
  /**
   * Whether what a control plane of inmesh refuses counts as an error, too: fields and kinds that are not carried out,
   * and references to what is not part of the mesh. Default false: each document by itself, as `inmesh validate`.
   */
  readonly strict?: boolean | undefined;
  /** What complaints call it, as a file. Default `mesh`. */
  readonly name?: string | undefined;
}

/** The documents of a mesh: frozen plain data, with ways to check and to write it. */
export interface ConfiguredMesh {
  readonly documents: readonly MeshDocument[];
  /** Everything that is wrong or odd about it, as `inmesh validate` finds it. Loads the control plane. */
  check(options?: MeshValidation): Promise<readonly Violation[]>;
  /**
   * Resolves with what is odd about it.
   * @throws MeshError `INMESH_CONFIG_INVALID` (or the code of the only error) with everything that is wrong.
   */
  validate(options?: MeshValidation): Promise<readonly Violation[]>;
  /** The documents as YAML, for `inmesh apply`, kubectl, or a review. */
  toYaml(): string;
  /** A Kubernetes list of the documents, so that `JSON.stringify(mesh)` is a file that every command reads. */
  toJSON(): { readonly apiVersion: 'v1'; readonly kind: 'List'; readonly items: readonly MeshDocument[] };
}

/** Kinds that are in no namespace. */
const CLUSTER_SCOPED: ReadonlySet<string> = new Set(['Namespace', 'GatewayClass']);

/**
 * A whole mesh of documents; as the default export of `mesh.config.ts` it is what every command takes for a file.
 * @throws MeshError `INMESH_CONFIG_DUPLICATE` when two documents have one name; `INMESH_CONFIG_INVALID` for what is no
 *   plain data.
 */
export function defineMesh({ namespace, documents: parts }: MeshDefinition): ConfiguredMesh {
  const documents: MeshDocument[] = [];
  const seen = new Set<string>();
  for (const one of flatten(parts)) {
    const made = ordered(one, namespace, documents.length);
    const key = keyOf(made);
    if (seen.has(key)) {
      throw new MeshError('INMESH_CONFIG_DUPLICATE', `there are two of ${key}`, {
        hint: 'Keep one of them, or give them other names',
      });
    }
    seen.add(key);
    documents.push(made);
  }
  return meshOf(Object.freeze(documents));
}

/** The mesh of documents that are frozen and ordered. */
export function meshOf(documents: readonly MeshDocument[]): ConfiguredMesh {
  const check = async ({ strict = false, name = 'mesh' }: MeshValidation = {}) => {
    const { documentTexts, validateDocuments } = await import('../control-plane.js');
    return validateDocuments({ files: documentTexts(name, documents) }, { strict }).violations;
  };
  return Object.freeze({
    documents,
    check,
    validate: async (options?: MeshValidation) => refuseErrors(await check(options)),
    toYaml: () => toYaml(documents),
    toJSON: () => ({ apiVersion: 'v1', kind: 'List', items: documents }) as const,
  });
}

/** Documents as YAML, with `---` between them; equal documents are equal text. */
export function toYaml(documents: readonly MeshDocument[] | ConfiguredMesh): string {
  const list = 'documents' in documents ? documents.documents : documents;
  // A document is plain data.
  return list.map((one, index) => yamlText(ordered(one, undefined, index) as unknown as Plain)).join('---\n');
}

/** With what is wrong as one error; the rest is handed back. */
export async function refuseErrors(violations: readonly Violation[]): Promise<readonly Violation[]> {
  const errors = violations.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  if (first === undefined) return violations;
  const { formatViolations } = await import('../control-plane.js');
  const codes = new Set(errors.map(({ code }) => code));
  const count = errors.length === 1 ? 'there is an error' : `there are ${errors.length} errors`;
  throw new MeshError(
    codes.size === 1 ? first.code : 'INMESH_CONFIG_INVALID',
    `${count} in the configuration:\n${formatViolations(errors)}`,
  );
}

function* flatten(parts: readonly MeshPart[]): Generator<MeshDocument> {
  if (!Array.isArray(parts)) {
    throw new MeshError('INMESH_CONFIG_INVALID', 'the documents of a mesh must be a list', {
      hint: 'For example: defineMesh({ documents: [rule, routes] })',
    });
  }
  for (const part of parts as readonly MeshPart[]) {
    if (isList(part)) yield* flatten(part);
    else if (isMesh(part)) yield* part.documents;
    else yield part;
  }
}

/** Array.isArray does not tell lists that are read-only. */
function isList(part: MeshPart): part is readonly MeshPart[] {
  return Array.isArray(part);
}

/** By what it has: another copy of this package may have made it. */
function isMesh(part: MeshDocument | ConfiguredMesh): part is ConfiguredMesh {
  return typeof part === 'object' && part !== null && 'documents' in part && Array.isArray(part.documents);
}

/** A frozen copy with the fields in the usual order, and in the namespace where it names none. */
function ordered(input: MeshDocument, namespace: string | undefined, index: number): MeshDocument {
  // It may come from anywhere: the types hold for TypeScript only.
  const given = input as unknown;
  if (typeof given !== 'object' || given === null)
    throw new MeshError('INMESH_CONFIG_INVALID', `the document at ${index} of the mesh is none`);
  const { apiVersion, kind, metadata, ...rest } = given as Record<string, unknown> & Partial<MeshDocument>;
  const { name, namespace: own, labels, annotations, ...more } = (metadata ?? {}) as Partial<Metadata>;
  const isScoped = namespace !== undefined && !CLUSTER_SCOPED.has(String(kind));
  const home = own ?? (isScoped ? namespace : undefined);
  const copy = {
    apiVersion,
    kind,
    metadata: { name, namespace: home, labels, annotations, ...more },
    ...rest,
  };
  const text = `${kind ?? `the document at ${index}`} ${own === undefined ? '' : `${own}/`}${name ?? ''}`;
  // The same fields in another order.
  return plainData(copy, text.trim()) as unknown as MeshDocument;
}

function keyOf({ apiVersion, kind, metadata }: MeshDocument): string {
  // The types hold for TypeScript only.
  const version: unknown = apiVersion;
  const group = typeof version === 'string' && version.includes('/') ? `.${version.split('/', 1)[0]}` : '';
  return `${kind}${kind === 'Gateway' ? group : ''} ${metadata.namespace ?? 'default'}/${metadata.name}`;
}
