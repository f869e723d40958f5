import { formatPath, readObjects, type Violation, validateFiles } from '../control-plane.js';
import { MeshError } from '../runtime/errors.js';
import {
  type ChangeOptions,
  postChanges,
  type ReadFrom,
  sendChanges,
  showAnswer,
  showApplied,
} from './changes.js';
import { kindOf, namespaceOf, objectsIn, targetsOf } from './objects.js';
import type { Output } from './output.js';
import { tellInvalid } from './tell-invalid.js';

/** Applies the objects of files: all of them, or none. */
export async function apply(options: ChangeOptions, output: Output): Promise<number> {
  const { file = [], format, namespace, dryRun } = options;
  const { objects, violations } = await readObjects(file);
  if (violations.length > 0) return tellInvalid(violations, format, output);
  if (dryRun === 'client') return applyNowhere({ objects, namespace }, options, output);
  const changes = objects.map(({ object }) => ({ op: 'apply', object: inNamespace(object, namespace) }));
  const answer = await postChanges(changes, options);
  if (answer.status === 400) {
    // The control plane does not get as far as places when it can not tell what an object is; the files say more.
    const found = await errorsIn(file);
    if (found.length > 0) return tellInvalid(found, format, output);
  }
  return showAnswer(answer, options, output, { objects, namespace });
}

/** What files come to by themselves, without a control plane. */
async function applyNowhere(from: ReadFrom, options: ChangeOptions, output: Output): Promise<number> {
  const { violations } = await validateFiles(options.file ?? []);
  const errors = violations.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) return tellInvalid(violations, options.format, output);
  const changes = from.objects.map(({ kind, name, namespace, object }) => {
    const { metadata } = object;
    const isSaid = typeof metadata === 'object' && metadata !== null && 'namespace' in metadata;
    return { kind, name, namespace: isSaid ? namespace : (from.namespace ?? namespace), result: 'valid' };
  });
  const warnings = violations.map((one) => ({ ...one, path: formatPath(one.path) }));
  await showApplied({ changes, warnings }, options, output, from);
  return 0;
}

async function errorsIn(files: readonly string[]): Promise<readonly Violation[]> {
  // Standard input was read once, and is gone.
  if (files.includes('/dev/stdin')) return [];
  const { violations } = await validateFiles(files);
  return violations.filter(({ severity }) => severity === 'error');
}

function inNamespace(object: Readonly<Record<string, unknown>>, namespace: string | undefined): object {
  const { metadata } = object;
  if (namespace === undefined || typeof metadata !== 'object' || metadata === null) return object;
  return { ...object, metadata: { namespace, ...metadata } };
}

interface Removal {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** Deletes what the arguments or files name. */
export async function remove(
  args: readonly string[],
  options: ChangeOptions,
  output: Output,
): Promise<number> {
  const { file, namespace } = options;
  if (file === undefined) {
    const named = targetsOf(args).map(({ kind, name }) => {
      if (kind !== undefined && name !== undefined) return { kind, name, namespace: namespace ?? 'default' };
      throw new MeshError('INMESH_OPTION_INVALID', 'name what to delete', {
        hint: 'For example: inmesh delete vs/reviews',
      });
    });
    return removeAll(named, options, output);
  }
  const read = await readObjects(file);
  if (read.violations.length > 0) return tellInvalid(read.violations, options.format, output);
  const removals = read.objects.map(({ object, kind, name, namespace: own }) => {
    const { metadata } = object;
    const isSaid = typeof metadata === 'object' && metadata !== null && 'namespace' in metadata;
    return { kind, name, namespace: isSaid ? own : (namespace ?? own) };
  });
  return removeAll(removals, options, output, { objects: read.objects, namespace });
}

async function removeAll(
  removals: readonly Removal[],
  options: ChangeOptions,
  output: Output,
  from?: ReadFrom,
): Promise<number> {
  const wanted = options.ignoreNotFound === true ? await those(removals, options, output) : removals;
  if (wanted.length === 0) {
    output.err('nothing of it is there\n');
    await showApplied(
      { revision: 0, changes: [] },
      { ...options, dryRun: 'none' },
      { ...output, err: () => {} },
    );
    return 0;
  }
  return sendChanges(
    wanted.map((one) => ({ op: 'delete', ...one })),
    options,
    output,
    from,
  );
}

/** Those that are there. */
async function those(
  removals: readonly Removal[],
  { controlPlane, tokenFile, caRoot }: ChangeOptions,
  output: Output,
): Promise<readonly Removal[]> {
  const { objects = [] } = await objectsIn({ controlPlane, tokenFile, caRoot }, undefined, output);
  const keys = new Set(objects.map((one) => `${kindOf(one)}/${namespaceOf(one)}/${one.metadata.name}`));
  return removals.filter(({ kind, namespace, name }) => keys.has(`${kind}/${namespace}/${name}`));
}
