import type { ServiceReport } from '../control-plane.js';
import { servicesIn } from './mesh-services.js';
import { conditionsOf, withStatus } from './object-status.js';
import {
  kindOf,
  namespaceOf,
  type ObjectQuery,
  objectsIn,
  plainObject,
  type ShownObject,
  SOURCE,
  targetsOf,
  yamlOf,
} from './objects.js';
import type { Output } from './output.js';
import { print } from './print.js';
import { serviceText } from './service-text.js';
import { tellInvalid } from './tell-invalid.js';

/** What `inmesh describe` was asked for. */
export interface DescribeOptions extends ObjectQuery {
  readonly format: 'table' | 'json' | 'yaml';
}

/** What is told of an object. */
interface Description {
  readonly object: ShownObject;
  readonly from: string;
  readonly revision: string | undefined;
  /** Objects that name it, or its host. */
  readonly namedBy: readonly string[];
  /** Hosts that it names. */
  readonly names: readonly string[];
  /** What the mesh makes of it, where it is a service. */
  readonly service?: ServiceReport;
}

/** Tells of objects and what is around them; 1 = one is not there. */
export async function describe(
  args: readonly string[],
  options: DescribeOptions,
  output: Output,
): Promise<number> {
  const targets = targetsOf(args);
  const found = await objectsIn({ ...options, allNamespaces: true }, undefined, output);
  if (found.objects === undefined) return found.code;
  const { file, format } = options;
  const all = file === undefined ? found.objects : await withStatus(found.objects, file);
  const namespace = options.allNamespaces === true ? undefined : options.namespace;
  const isAsked = targets.some(({ kind }) => kind === undefined || kind === 'Service');
  const { services, violations } = isAsked
    ? await servicesIn(options, { namespace })
    : { services: [], violations: [] };
  if (violations.length > 0) return tellInvalid(violations, format, output);
  const descriptions = targets.map(({ kind, name }) => {
    const isMeant = (one: { readonly name: string; readonly namespace: string }, own: string) =>
      (kind === undefined || own === kind) &&
      (name === undefined || one.name === name) &&
      (namespace === undefined || one.namespace === namespace);
    const objects = all.filter((one) =>
      isMeant({ name: one.metadata.name, namespace: namespaceOf(one) }, kindOf(one)),
    );
    const registered = services.filter((one) => one.source === 'registered' && isMeant(one, 'Service'));
    return [
      ...objects.map((one) => descriptionOf(one, all, services)),
      ...registered.map((service) => registeredDescription(service, all)),
    ];
  });
  const shown = descriptions.flat();
  const missing = targets.filter((_, index) => descriptions[index]?.length === 0);
  const messages = missing.map(
    ({ kind = 'object', name }) => `there is no ${kind}${name === undefined ? '' : ` ${name}`}`,
  );
  for (const message of messages) output.err(`${message}\n`);
  if (format === 'table') for (const one of shown) output.out(await textOf(one));
  else {
    const error = { error: { code: 'INMESH_NOT_FOUND', message: messages.join('; ') } };
    await print(output, format, shown.length === 0 ? error : shown, () => []);
  }
  return missing.length > 0 ? 1 : 0;
}

function descriptionOf(
  object: ShownObject,
  all: readonly ShownObject[],
  services: readonly ServiceReport[],
): Description {
  const { kind, metadata } = object;
  const { name } = metadata;
  const namespace = namespaceOf(object);
  const service = services.find(
    (one) =>
      kind === 'Service' && one.name === name && one.namespace === namespace && one.source === 'Service',
  );
  return {
    object: { ...plainObject(object), ...(object.status !== undefined && { status: object.status }) },
    from: metadata.annotations?.[SOURCE] ?? '',
    revision: metadata.resourceVersion,
    namedBy: namedBy(
      name,
      namespace,
      all.filter((one) => one !== object),
    ),
    names: [...new Set(hostsIn(object.spec))],
    ...(service !== undefined && { service }),
  };
}

function registeredDescription(service: ServiceReport, all: readonly ShownObject[]): Description {
  const { name, namespace } = service;
  return {
    object: { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace } },
    from: 'registered by its workloads, no document tells of it',
    revision: undefined,
    namedBy: namedBy(name, namespace, all),
    names: [],
    service,
  };
}

function namedBy(name: string, namespace: string, all: readonly ShownObject[]): readonly string[] {
  const full = [`${name}.${namespace}`, `${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`];
  const wanted = new Set([`${namespace}/${name}`, ...full]);
  return all
    .filter((one) => {
      const isNear = [namespace, 'istio-system'].includes(namespaceOf(one));
      // A bare name means something of its own namespace; full names are looked for everywhere.
      return textsIn(one.spec).some((text) => wanted.has(text) || (text === name && isNear));
    })
    .map((one) => `${one.kind} ${namespaceOf(one)}/${one.metadata.name}`);
}

function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(textsIn);
}

function hostsIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) =>
    key === 'host' && typeof part === 'string' ? [part] : hostsIn(part),
  );
}

async function textOf({ object, from, revision, namedBy, names, service }: Description): Promise<string> {
  const { kind } = object;
  const conditions = conditionsOf(object.status).map(({ of, type, status, reason, message }) => {
    const why = message === '' ? '' : `: ${message}`;
    return `  condition  ${of === '' ? '' : `${of} `}${type} ${status} (${reason})${why}`;
  });
  const lines = [
    `${kind} ${namespaceOf(object)}/${object.metadata.name}`,
    `  from       ${from}${revision === undefined ? '' : `, revision ${revision}`}`,
    ...conditions,
    ...(service === undefined ? [] : serviceText(service)),
    ...names.map((one) => `  leads to   ${one}`),
    ...namedBy.map((one) => `  named by   ${one}`),
  ];
  const spec = object.spec === undefined ? '' : await yamlOf([{ spec: object.spec }]);
  const indented = spec.replace(/^(?=.)/gm, '  ');
  return `${lines.join('\n')}\n${indented}`;
}
