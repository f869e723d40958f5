import { formatViolations, kindMeant, readObjects } from '../control-plane.js';
import { MeshError } from '../runtime/errors.js';
import { labelsOf } from './labels.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { askStatus } from './status-api.js';

/** An object of the configuration, as it is shown. */
export interface ShownObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly resourceVersion?: string;
  };
  readonly spec?: unknown;
  readonly [field: string]: unknown;
}

/** Where objects are read, and which. */
export interface ObjectQuery extends PlaneOptions {
  readonly file?: readonly string[];
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly selector?: readonly string[];
}

/** In which annotation it stands where an object is from. */
export const SOURCE = 'inmesh.dev/source';

/** The objects in files, or in force; undefined, with the reason on stderr, when files can't be read. */
export async function objectsIn(
  query: ObjectQuery,
  kind: string | undefined,
  output: Output,
): Promise<readonly ShownObject[] | undefined> {
  const namespace = query.allNamespaces === true ? undefined : query.namespace;
  const labels = labelsOf(query.selector ?? []);
  const all = query.file === undefined ? await inForce(query) : await inFiles(query.file, output);
  return all?.filter(
    ({ kind: own, metadata }) =>
      (kind === undefined || own === kind) &&
      (namespace === undefined || (metadata.namespace ?? 'default') === namespace) &&
      Object.entries(labels).every(([key, value]) => metadata.labels?.[key] === value),
  );
}

async function inForce(api: PlaneOptions): Promise<readonly ShownObject[]> {
  const { controlPlane: address, tokenFile, caRoot } = api;
  // As openapi.json says.
  const { items } = (await askStatus({ address, tokenFile, caRoot }, '/api/resources')) as {
    readonly items: readonly ShownObject[];
  };
  return items;
}

async function inFiles(
  paths: readonly string[],
  output: Output,
): Promise<readonly ShownObject[] | undefined> {
  const { objects, violations } = await readObjects(paths);
  if (violations.length > 0) {
    output.err(`${formatViolations(violations)}\n`);
    return undefined;
  }
  return objects.map(({ object, namespace, name, kind, file, line }) => {
    const metadata = object['metadata'] as ShownObject['metadata'] | undefined;
    return {
      ...object,
      apiVersion: typeof object['apiVersion'] === 'string' ? object['apiVersion'] : '',
      kind,
      metadata: {
        ...metadata,
        name,
        namespace,
        annotations: { ...metadata?.annotations, [SOURCE]: `${file}:${line}` },
      },
    };
  });
}

/** `kind`, `kind/name` or `kind name`: what a command is about. */
export function targetOf(args: readonly string[]): {
  readonly kind: string;
  readonly name: string | undefined;
} {
  const [first = '', second] = args;
  const slash = first.indexOf('/');
  const [text, name] = slash < 0 ? [first, second] : [first.slice(0, slash), first.slice(slash + 1)];
  const kind = kindMeant(text);
  if (kind !== undefined) return { kind, name };
  throw new MeshError('INMESH_OPTION_INVALID', `there is no kind ${JSON.stringify(text)}`, {
    hint: 'Name a kind such as VirtualService, virtualservices or vs',
  });
}

/** An object as it would be applied again: without what the store says of it. */
export function plainObject(object: ShownObject): ShownObject {
  const { resourceVersion: _, annotations = {}, ...metadata } = object.metadata;
  const own = Object.fromEntries(Object.entries(annotations).filter(([name]) => name !== SOURCE));
  return {
    ...object,
    metadata: { ...metadata, ...(Object.keys(own).length > 0 && { annotations: own }) },
  };
}

/** Documents of YAML, one after the other. */
export async function yamlOf(objects: readonly object[]): Promise<string> {
  const { stringify } = await import('yaml');
  return objects.map((one) => stringify(JSON.parse(JSON.stringify(one)))).join('---\n');
}
