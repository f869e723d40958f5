import { MeshError } from '../runtime/errors.js';
import type { FieldEdit, ObjectEdit } from './edit.js';
import type { ShownObject } from './objects.js';

/** Which service is edited, and what is there of it. */
export interface ServiceContext {
  readonly service: string;
  readonly namespace: string;
  readonly objects: readonly ShownObject[];
}

interface Route {
  readonly match?: unknown;
  readonly route?: readonly {
    readonly destination?: { readonly host?: string; readonly subset?: string; readonly port?: unknown };
  }[];
}

const ISTIO = 'networking.istio.io/v1';

/** Sends shares of requests to versions: `v1=90`, `v2=10`. */
export function shiftEdits(
  context: ServiceContext,
  weights: readonly (readonly [string, number])[],
): readonly ObjectEdit[] {
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  if (total !== 100)
    throw new MeshError('INMESH_OPTION_INVALID', `the shares come to ${total}, not 100`, {
      hint: 'For example: v1=90 v2=10',
    });
  const { service } = context;
  const found = virtualService(context);
  const port =
    found &&
    defaultRoutes(found)
      .flatMap(({ route }) => route.route ?? [])
      .find(({ destination }) => destination?.port !== undefined)?.destination?.port;
  const route = weights.map(([subset, weight]) => ({
    destination: { host: service, subset, ...(port !== undefined && { port }) },
    weight,
  }));
  return [
    ...subsetEdits(
      context,
      weights.map(([name]) => name),
    ),
    routeEdit(context, (known) => weightEdits(known, weights) ?? [{ path: ['route'], value: route }], {
      route,
    }),
  ];
}

/** Where the versions stand already, only their shares change; undefined = the route has others. */
function weightEdits(
  { route = [] }: Route,
  weights: readonly (readonly [string, number])[],
): readonly FieldEdit[] | undefined {
  const places = weights.map(([name]) => route.findIndex(({ destination }) => destination?.subset === name));
  if (route.length !== weights.length || new Set(places).size < route.length || places.includes(-1))
    return undefined;
  return weights.map(([, weight], index) => ({
    path: ['route', places[index] ?? 0, 'weight'],
    value: weight,
  }));
}

/** Sets fields of the routes to a service that have no conditions, or makes such a route. */
export function routeEdits(
  context: ServiceContext,
  fields: Readonly<Record<string, unknown>>,
): readonly ObjectEdit[] {
  const set = () => Object.entries(fields).map(([name, value]): FieldEdit => ({ path: [name], value }));
  const own = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  return [routeEdit(context, set, { ...own, route: [{ destination: { host: context.service } }] })];
}

/** The mode of mTLS of a namespace. */
export function mtlsEdits(namespace: string, mode: string): readonly ObjectEdit[] {
  return [
    {
      kind: 'PeerAuthentication',
      namespace,
      name: 'default',
      create: {
        apiVersion: 'security.istio.io/v1',
        kind: 'PeerAuthentication',
        metadata: metadataOf('default', namespace),
        spec: { mtls: { mode } },
      },
      set: [{ path: ['spec', 'mtls', 'mode'], value: mode }],
    },
  ];
}

function routeEdit(
  context: ServiceContext,
  fieldsOf: (route: Route) => readonly FieldEdit[],
  route: object,
): ObjectEdit {
  const { service, namespace } = context;
  const found = virtualService(context);
  const create = {
    apiVersion: ISTIO,
    kind: 'VirtualService',
    metadata: metadataOf(service, namespace),
    spec: { hosts: [service], http: [route] },
  };
  if (found === undefined) {
    mustBeFree(context, 'VirtualService');
    return { kind: 'VirtualService', namespace, name: service, create, set: [] };
  }
  const routes = defaultRoutes(found);
  const set =
    routes.length > 0
      ? routes.flatMap(({ index, route: known }) =>
          fieldsOf(known).map(({ path, value }) => ({ path: ['spec', 'http', index, ...path], value })),
        )
      : [{ path: ['spec', 'http', httpOf(found).length], value: route }];
  return {
    kind: 'VirtualService',
    namespace: found.metadata.namespace ?? 'default',
    name: found.metadata.name,
    create,
    set,
  };
}

function virtualService({ service, namespace, objects }: ServiceContext): ShownObject | undefined {
  return objects.find(
    ({ kind, metadata, spec }) =>
      kind === 'VirtualService' &&
      ((spec as { readonly hosts?: readonly string[] } | undefined)?.hosts ?? []).some((host) =>
        means(host, metadata.namespace ?? 'default', { service, namespace }),
      ),
  );
}

function httpOf({ spec }: ShownObject): readonly Route[] {
  return (spec as { readonly http?: readonly Route[] } | undefined)?.http ?? [];
}

/** Those for everything that nothing before them took. */
function defaultRoutes(found: ShownObject): readonly { readonly index: number; readonly route: Route }[] {
  return httpOf(found).flatMap((route, index) =>
    route.match === undefined && route.route !== undefined ? [{ index, route }] : [],
  );
}

function subsetEdits(context: ServiceContext, names: readonly string[]): readonly ObjectEdit[] {
  const { service, namespace, objects } = context;
  const found = objects.find(
    ({ kind, metadata, spec }) =>
      kind === 'DestinationRule' &&
      means(String((spec as { readonly host?: string } | undefined)?.host), metadata.namespace ?? 'default', {
        service,
        namespace,
      }),
  );
  const subset = (name: string) => ({ name, labels: { version: name } });
  const known =
    (found?.spec as { readonly subsets?: readonly { readonly name: string }[] } | undefined)?.subsets ?? [];
  const missing = names.filter((name) => !known.some((one) => one.name === name));
  if (found !== undefined && missing.length === 0) return [];
  if (found === undefined) mustBeFree(context, 'DestinationRule');
  return [
    {
      kind: 'DestinationRule',
      namespace: found?.metadata.namespace ?? namespace,
      name: found?.metadata.name ?? service,
      create: {
        apiVersion: ISTIO,
        kind: 'DestinationRule',
        metadata: metadataOf(service, namespace),
        spec: { host: service, subsets: names.map(subset) },
      },
      set: missing.map((name, index) => ({
        path: ['spec', 'subsets', known.length + index],
        value: subset(name),
      })),
    },
  ];
}

/** What is made for a service has its name: that of an object for other hosts is not to be written over. */
function mustBeFree({ service, namespace, objects }: ServiceContext, kind: string): void {
  const other = objects.find(
    ({ kind: own, metadata }) =>
      own === kind && metadata.name === service && (metadata.namespace ?? 'default') === namespace,
  );
  if (other === undefined) return;
  throw new MeshError(
    'INMESH_OPTION_INVALID',
    `${kind} ${namespace}/${service} is there, and is for other hosts`,
    {
      hint: `Apply a ${kind} of another name for the host ${service}`,
    },
  );
}

function means(
  host: string,
  of: string,
  { service, namespace }: Pick<ServiceContext, 'service' | 'namespace'>,
): boolean {
  if (host === service) return of === namespace;
  return [
    `${service}.${namespace}`,
    `${service}.${namespace}.svc`,
    `${service}.${namespace}.svc.cluster.local`,
  ].includes(host);
}

function metadataOf(name: string, namespace: string): object {
  return namespace === 'default' ? { name } : { name, namespace };
}
