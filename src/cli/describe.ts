import {
  type ObjectQuery,
  objectsIn,
  plainObject,
  type ShownObject,
  SOURCE,
  targetOf,
  yamlOf,
} from './objects.js';
import type { Output } from './output.js';
import { askStatus } from './status-api.js';

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
  readonly workloads: readonly string[];
}

/** Tells of an object and what is around it; 1 = it is not there. */
export async function describe(
  args: readonly string[],
  options: DescribeOptions,
  output: Output,
): Promise<number> {
  const { kind, name } = targetOf(args);
  const all = await objectsIn({ ...options, allNamespaces: true }, undefined, output);
  if (all === undefined) return 1;
  const found = all.filter(
    ({ kind: own, metadata }) =>
      own === kind &&
      (name === undefined || metadata.name === name) &&
      (options.namespace === undefined || (metadata.namespace ?? 'default') === options.namespace),
  );
  if (found.length === 0) {
    output.err(`there is no ${kind}${name === undefined ? '' : ` ${name}`}\n`);
    return 1;
  }
  const workloads = options.file === undefined ? await registered(options) : [];
  const descriptions = found.map((one) => descriptionOf(one, all, workloads));
  if (options.format === 'json') output.out(`${JSON.stringify(descriptions, undefined, 2)}\n`);
  else if (options.format === 'yaml') output.out(await yamlOf([descriptions]));
  else for (const one of descriptions) output.out(await textOf(one));
  return 0;
}

interface Workload {
  readonly service: string;
  readonly namespace: string;
  readonly version: string;
  readonly address: string;
  readonly port: number;
}

async function registered({
  controlPlane: address,
  tokenFile,
  caRoot,
}: DescribeOptions): Promise<readonly Workload[]> {
  const body = await askStatus({ address, tokenFile, caRoot }, '/api/workloads');
  return (body as { readonly workloads: readonly Workload[] }).workloads;
}

function descriptionOf(
  object: ShownObject,
  all: readonly ShownObject[],
  workloads: readonly Workload[],
): Description {
  const { kind, metadata } = object;
  const { name, namespace = 'default' } = metadata;
  const wanted = new Set([
    name,
    `${namespace}/${name}`,
    `${name}.${namespace}`,
    `${name}.${namespace}.svc.cluster.local`,
  ]);
  const namedBy = all
    .filter((one) => one !== object && textsIn(one.spec).some((text) => wanted.has(text)))
    .filter(({ metadata: own }) => isNear(own.namespace ?? 'default', namespace))
    .map((one) => `${one.kind} ${one.metadata.namespace ?? 'default'}/${one.metadata.name}`);
  const serving =
    kind === 'Service' ? workloads.filter((one) => one.service === name && one.namespace === namespace) : [];
  return {
    object: plainObject(object),
    from: metadata.annotations?.[SOURCE] ?? '',
    revision: metadata.resourceVersion,
    namedBy,
    names: [...new Set(hostsIn(object.spec))],
    workloads: serving.map(
      ({ address, port, version }) => `${address}:${port}${version === '' ? '' : ` ${version}`}`,
    ),
  };
}

/** A bare name means a service of its own namespace; full names are looked for everywhere. */
function isNear(own: string, namespace: string): boolean {
  return own === namespace || own === 'istio-system';
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

async function textOf({ object, from, revision, namedBy, names, workloads }: Description): Promise<string> {
  const { kind, metadata } = object;
  const lines = [
    `${kind} ${metadata.namespace ?? 'default'}/${metadata.name}`,
    `  from       ${from}${revision === undefined ? '' : `, revision ${revision}`}`,
    ...names.map((one) => `  leads to   ${one}`),
    ...namedBy.map((one) => `  named by   ${one}`),
    ...workloads.map((one) => `  workload   ${one}`),
  ];
  const spec = object.spec === undefined ? '' : await yamlOf([{ spec: object.spec }]);
  const indented = spec.replace(/^(?=.)/gm, '  ');
  return `${lines.join('\n')}\n${indented}`;
}
