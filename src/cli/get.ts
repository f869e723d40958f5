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
import { type Format, print } from './print.js';

/** What `inmesh get` was asked for. */
export interface GetOptions extends ObjectQuery {
  readonly format: Format;
}

/** Lists objects, or shows one; 1 = the one that was asked for is not there. */
export async function get(args: readonly string[], options: GetOptions, output: Output): Promise<number> {
  const all = args[0] === undefined || args[0] === 'all' ? undefined : targetOf(args);
  const found = await objectsIn(options, all?.kind, output);
  if (found === undefined) return 1;
  const objects =
    all?.name === undefined ? found : found.filter(({ metadata }) => metadata.name === all.name);
  if (all?.name !== undefined && objects.length === 0) {
    output.err(
      `there is no ${all.kind} ${options.namespace ?? ''}${options.namespace === undefined ? '' : '/'}${all.name}\n`,
    );
    return 1;
  }
  await show(objects, all?.name !== undefined, options.format, output);
  return 0;
}

async function show(
  objects: readonly ShownObject[],
  isOne: boolean,
  format: Format,
  output: Output,
): Promise<void> {
  if (format === 'name') {
    output.out(objects.map(({ kind, metadata }) => `${kind.toLowerCase()}/${metadata.name}\n`).join(''));
    return;
  }
  if (format === 'json') {
    const value = isOne ? objects[0] : { apiVersion: 'v1', kind: 'List', items: objects };
    output.out(`${JSON.stringify(value, undefined, 2)}\n`);
    return;
  }
  if (format === 'yaml') {
    output.out(await yamlOf(objects));
    return;
  }
  if (objects.length === 0) output.err('nothing is there\n');
  else await print(output, 'table', objects, () => rowsOf(objects, format === 'wide'));
}

function rowsOf(objects: readonly ShownObject[], isWide: boolean): readonly (readonly string[])[] {
  const head = ['NAMESPACE', 'KIND', 'NAME', 'HOSTS', 'REVISION', ...(isWide ? ['FROM', 'LABELS'] : [])];
  const rows = objects.map(({ kind, metadata, spec }) => [
    metadata.namespace ?? 'default',
    kind,
    metadata.name,
    hostsOf(spec),
    metadata.resourceVersion ?? '',
    ...(isWide
      ? [
          metadata.annotations?.[SOURCE] ?? '',
          Object.entries(metadata.labels ?? {})
            .map(([key, value]) => `${key}=${value}`)
            .join(','),
        ]
      : []),
  ]);
  return [head, ...rows];
}

function hostsOf(spec: unknown): string {
  if (typeof spec !== 'object' || spec === null) return '';
  if ('hosts' in spec && Array.isArray(spec.hosts)) return spec.hosts.join(',');
  return 'host' in spec ? String(spec.host) : '';
}

/** Prints all objects as they would be applied again. */
export async function exportObjects(
  options: ObjectQuery & { readonly format: 'yaml' | 'json' },
  output: Output,
): Promise<number> {
  const found = await objectsIn(options, undefined, output);
  if (found === undefined) return 1;
  const objects = found.map(plainObject);
  if (objects.some(({ kind }) => kind === 'Secret')) output.err('the values of Secrets are left out\n');
  output.out(
    options.format === 'json'
      ? `${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, undefined, 2)}\n`
      : await yamlOf(objects),
  );
  return 0;
}
