import { closestKind, kindMeant, readObjects } from '../control-plane.js';
import { MeshError } from '../runtime/errors.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { selectorOf } from './selector.js';
import { askStatus } from './status-api.js';
import { tellInvalid } from './tell-invalid.js';

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
    /** Given by the store to what has a status. */
    readonly generation?: number;
  };
  readonly spec?: unknown;
  readonly status?: unknown;
  readonly [field: string]: unknown;
}

/** Where objects are read, and which. */
export interface ObjectQuery extends PlaneOptions {
  readonly file?: readonly string[] | undefined;
  readonly namespace?: string | undefined;
  readonly allNamespaces?: boolean;
  readonly selector?: readonly string[];
}

/** In which annotation it stands where an object is from. */
export const SOURCE = 'inmesh.dev/source';

/** The objects, or with what code the command ends because they can not be read. */
export type ObjectsFound =
  | { readonly objects: readonly ShownObject[] }
  | { readonly objects: undefined; readonly code: number };

/** The objects in files, or in force. */
export async function objectsIn(
  query: ObjectQuery & { readonly format?: string },
  kind: string | undefined,
  output: Output,
): Promise<ObjectsFound> {
  const namespace = query.allNamespaces === true ? undefined : query.namespace;
  const isSelected = selectorOf(query.selector ?? []);
  const found =
    query.file === undefined
      ? { objects: await inForce(query) }
      : await inFiles(query.file, query.format, output);
  if (found.objects === undefined) return found;
  const objects = found.objects.filter(
    (one) =>
      (kind === undefined || kindOf(one) === kind) &&
      (namespace === undefined || namespaceOf(one) === namespace) &&
      isSelected(one.metadata.labels ?? {}),
  );
  return { objects };
}

async function inForce(api: PlaneOptions): Promise<readonly ShownObject[]> {
  const { controlPlane: address, tokenFile, caRoot } = api;
  // As openapi.json says.
  const { items } = (await askStatus({ address, tokenFile, caRoot }, '/api/resources')) as {
    readonly items: readonly ShownObject[];
  };
  return items;
}

async function inFiles(paths: readonly string[], format = '', output: Output): Promise<ObjectsFound> {
  const { objects, violations } = await readObjects(paths);
  if (violations.length > 0)
    return { objects: undefined, code: await tellInvalid(violations, format, output) };
  return {
    objects: objects.map(({ object, namespace, name, file, line }) => {
      const { apiVersion, kind, metadata, ...rest } = object;
      const own = metadata as ShownObject['metadata'] | undefined;
      return {
        apiVersion: typeof apiVersion === 'string' ? apiVersion : '',
        kind: typeof kind === 'string' ? kind : '',
        metadata: {
          ...own,
          name,
          namespace,
          annotations: { ...own?.annotations, [SOURCE]: `${file}:${line}` },
        },
        ...rest,
      };
    }),
  };
}

/** The kind by which an object is kept: two are called Gateway. */
export function kindOf({ kind, apiVersion }: Pick<ShownObject, 'kind' | 'apiVersion'>): string {
  const [group = ''] = apiVersion.split('/');
  return kindMeant(`${kind}.${group}`) ?? kind;
}

/** Its namespace; Istio's and ours: `default` where it says none. */
export function namespaceOf({ metadata }: Pick<ShownObject, 'metadata'>): string {
  return metadata.namespace ?? 'default';
}

/** What a command is about: a kind (undefined = all), and one of it. */
export interface Target {
  readonly kind: string | undefined;
  readonly name: string | undefined;
}

/** `kind`, `kind,kind`, `kind name…` or `kind/name…`, as kubectl takes them. */
export function targetsOf(args: readonly string[]): readonly Target[] {
  const [first = '', ...further] = args;
  if (args.some((text) => text.includes('/'))) {
    return args.map((text) => {
      const [kind = '', name, ...rest] = text.split('/');
      if (name !== undefined && name !== '' && rest.length === 0) return { kind: toKind(kind), name };
      throw new MeshError('INMESH_OPTION_INVALID', `${JSON.stringify(text)} is not of the form kind/name`, {
        hint: 'Write all arguments as kind/name, or a kind and then names',
      });
    });
  }
  const kinds = first.split(',').map((text) => (text === '' || text === 'all' ? undefined : toKind(text)));
  const names = further.length === 0 ? [undefined] : further;
  return kinds.flatMap((kind) => names.map((name) => ({ kind, name })));
}

function toKind(text: string): string {
  // kubectl also takes the plural with its group: virtualservices.networking.istio.io.
  const [plain = ''] = text.split('.');
  const kind = kindMeant(text) ?? kindMeant(plain);
  if (kind !== undefined) return kind;
  const close = closestKind(text);
  throw new MeshError('INMESH_OPTION_INVALID', `there is no kind ${JSON.stringify(text)}`, {
    hint:
      close === undefined
        ? 'Name a kind such as VirtualService, virtualservices or vs; inmesh schema lists them'
        : `Did you mean ${close}?`,
  });
}

/** An object as it would be applied again: without what the store says of it, and in the order in which people read it. */
export function plainObject(object: ShownObject): ShownObject {
  const { apiVersion, kind, metadata, status: _status, ...rest } = object;
  const {
    resourceVersion: _,
    generation: _generation,
    annotations = {},
    name,
    namespace,
    ...others
  } = metadata;
  const own = Object.fromEntries(Object.entries(annotations).filter(([key]) => key !== SOURCE));
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...others,
      ...(Object.keys(own).length > 0 && { annotations: own }),
    },
    ...rest,
  };
}

/** Documents of YAML, one after the other. */
export async function yamlOf(objects: readonly object[]): Promise<string> {
  const { stringify } = await import('yaml');
  return objects.map((one) => stringify(JSON.parse(JSON.stringify(one)))).join('---\n');
}
