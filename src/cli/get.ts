import type { ServiceReport } from '../control-plane.js';
import { fieldSelectorOf } from './field-selector.js';
import { type ColumnOptions, columnsFor } from './get-columns.js';
import { servicesIn, shownService } from './mesh-services.js';
import { withStatus } from './object-status.js';
import {
  kindOf,
  namespaceOf,
  type ObjectQuery,
  type ObjectsFound,
  objectsIn,
  plainObject,
  type ShownObject,
  type Target,
  targetsOf,
  yamlOf,
} from './objects.js';
import type { Output } from './output.js';
import { type Format, print } from './print.js';
import { selectorOf } from './selector.js';
import { sortedBy } from './sorted-objects.js';
import { watch } from './watch.js';

/** What `inmesh get` was asked for. */
export interface GetOptions extends ObjectQuery, ColumnOptions {
  readonly format: Format;
  readonly watch?: boolean;
  readonly fieldSelector?: readonly string[];
  /** An expression of jsonpath. */
  readonly sortBy?: string;
  /** False = tables without heads. */
  readonly headers?: boolean;
}

/** Lists objects, or shows some; 1 = one that was asked for is not there. */
export async function get(args: readonly string[], options: GetOptions, output: Output): Promise<number> {
  const targets = targetsOf(args);
  if (options.watch === true) {
    // What can't be read when it is looked at again is not gone.
    if (options.sortBy !== undefined) output.err('what changes comes as it changes: --sort-by is left out\n');
    const read = async () => watched(await objectsFor(targets, options, output), options);
    return watch(read, options.format, output);
  }
  const found = await objectsFor(targets, options, output);
  if (found.objects === undefined) return found.code;
  const objects = options.sortBy === undefined ? found.objects : sortedBy(options.sortBy, found.objects);
  const missing = targets.filter(
    ({ kind, name }) =>
      name !== undefined &&
      !objects.some((one) => (kind === undefined || kindOf(one) === kind) && one.metadata.name === name),
  );
  const isOne = targets.length === 1 && targets[0]?.name !== undefined && objects.length === 1;
  for (const { kind = 'object', name = '' } of missing) {
    const { namespace } = options;
    output.err(`there is no ${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}\n`);
  }
  const isNothing = objects.length === 0 && missing.length > 0;
  if (isNothing && (options.format === 'json' || options.format === 'yaml')) {
    const message = missing.map(({ kind, name }) => `there is no ${kind} ${name}`).join('; ');
    await print(output, options.format, { error: { code: 'INMESH_NOT_FOUND', message } }, () => []);
  } else if (!isNothing) await show({ ...found, objects }, isOne, options, output);
  return missing.length > 0 ? 1 : 0;
}

/** Objects with what is known of the services among them. */
type Listed = ObjectsFound & { readonly services?: readonly ServiceReport[] };

async function objectsFor(targets: readonly Target[], options: GetOptions, output: Output): Promise<Listed> {
  const found = await objectsIn(options, undefined, output);
  if (found.objects === undefined) return found;
  const { file } = options;
  const known = file === undefined ? found.objects : await withStatus(found.objects, file);
  const services = await servicesFor(targets, options);
  const all = [...known, ...implied(services, known, options)];
  const hasFields = fieldSelectorOf(options.fieldSelector ?? []);
  const isMeant = (object: ShownObject) =>
    hasFields(object) &&
    targets.some(
      ({ kind, name }) =>
        (kind === undefined || kind === kindOf(object)) &&
        (name === undefined || name === object.metadata.name),
    );
  return { objects: all.filter(isMeant), services };
}

async function servicesFor(
  targets: readonly Target[],
  options: GetOptions,
): Promise<readonly ServiceReport[]> {
  if (!targets.some(({ kind }) => kind === undefined || kind === 'Service')) return [];
  const { services } = await servicesIn(options, {
    namespace: options.allNamespaces === true ? undefined : options.namespace,
  });
  return services;
}

/** Services that only workloads tell of: no document says so, but they are there. */
function implied(
  services: readonly ServiceReport[],
  known: readonly ShownObject[],
  { selector = [] }: GetOptions,
): readonly ShownObject[] {
  const isSelected = selectorOf(selector);
  return services
    .filter(({ source, name, namespace }) => {
      const isKnown = known.some(
        (one) => one.kind === 'Service' && one.metadata.name === name && namespaceOf(one) === namespace,
      );
      return source === 'registered' && !isKnown;
    })
    .map(shownService)
    .filter(({ metadata }) => isSelected(metadata.labels ?? {}));
}

function watched({ objects = [], services = [] }: Listed, options: GetOptions) {
  const { format, headers } = options;
  const columns = columnsFor(objects, services, format === 'wide', options);
  const rows = objects.map((one) => {
    const key = `${kindOf(one)}/${namespaceOf(one)}/${one.metadata.name}`;
    // What a row does not show may have changed, too.
    const cells = format === 'name' ? [nameOf(one)] : columns.map(({ text }) => text(one));
    return [key, { cells, value: one }] as const;
  });
  return {
    head: format === 'name' || headers === false ? [] : columns.map(({ head }) => head),
    rows: new Map(rows),
  };
}

function nameOf({ kind, metadata }: ShownObject): string {
  return `${kind.toLowerCase()}/${metadata.name}`;
}

async function show(
  { objects = [], services = [] }: Listed,
  isOne: boolean,
  options: GetOptions,
  output: Output,
): Promise<void> {
  const { format, headers } = options;
  if (format === 'name') output.out(objects.map((one) => `${nameOf(one)}\n`).join(''));
  else if (format === 'json') {
    const value = isOne ? objects[0] : { apiVersion: 'v1', kind: 'List', items: objects };
    output.out(`${JSON.stringify(value, undefined, 2)}\n`);
  } else if (format === 'yaml') {
    output.out(await yamlOf(isOne ? objects : [{ apiVersion: 'v1', kind: 'List', items: objects }]));
  } else if (objects.length === 0) output.err('nothing is there\n');
  else {
    const columns = columnsFor(objects, services, format === 'wide', options);
    await print(output, 'table', objects, () => [
      ...(headers === false ? [] : [columns.map(({ head }) => head)]),
      ...objects.map((one) => columns.map(({ text }) => text(one))),
    ]);
  }
}

/** Prints all objects as they would be applied again. */
export async function exportObjects(
  options: ObjectQuery & { readonly format: 'yaml' | 'json' },
  output: Output,
): Promise<number> {
  const found = await objectsIn(options, undefined, output);
  if (found.objects === undefined) return found.code;
  const objects = found.objects.map(plainObject);
  const isStored = options.file === undefined && objects.some(({ kind }) => kind === 'Secret');
  if (isStored) output.err('the values of Secrets are left out\n');
  output.out(
    options.format === 'json'
      ? `${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, undefined, 2)}\n`
      : await yamlOf(objects),
  );
  return 0;
}
