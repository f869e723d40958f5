import { formatViolations, readObjects } from '../control-plane.js';
import { MeshError } from '../runtime/errors.js';
import { targetOf } from './objects.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { callPlane, errorOf, type PlaneAnswer } from './status-api.js';

/** How a change is sent. */
export interface ChangeOptions extends PlaneOptions {
  readonly file?: readonly string[];
  readonly namespace?: string;
  readonly dryRun?: boolean;
  readonly message?: string;
  readonly confirm?: boolean;
  readonly ifRevision?: number;
  readonly format: 'table' | 'json' | 'yaml' | 'name';
}

/** Applies the objects of files: all of them, or none. */
export async function apply(options: ChangeOptions, output: Output): Promise<number> {
  const read = await readObjects(options.file ?? []);
  if (read.violations.length > 0) {
    output.err(`${formatViolations(read.violations)}\n`);
    return 1;
  }
  const changes = read.objects.map(({ object }) => ({
    op: 'apply',
    object: inNamespace(object, options.namespace),
  }));
  return sendChanges(changes, options, output);
}

function inNamespace(object: Readonly<Record<string, unknown>>, namespace: string | undefined): object {
  const { metadata } = object;
  if (namespace === undefined || typeof metadata !== 'object' || metadata === null) return object;
  return { ...object, metadata: { namespace, ...metadata } };
}

/** Deletes what the arguments or files name. */
export async function remove(
  first: string | undefined,
  names: readonly string[],
  options: ChangeOptions,
  output: Output,
): Promise<number> {
  const { file, namespace = 'default' } = options;
  if (file === undefined) {
    const [name, ...further] = names;
    const kindOrTarget = first === undefined ? [] : [first];
    const each =
      further.length === 0 ? [kindOrTarget.concat(name ?? [])] : names.map((one) => kindOrTarget.concat(one));
    const targets = each.map(targetOf);
    const changes = targets.map((target) => {
      if (target.name !== undefined) return { op: 'delete', namespace, ...target };
      throw new MeshError('INMESH_OPTION_INVALID', 'name what to delete', {
        hint: 'For example: inmesh delete vs/reviews',
      });
    });
    return sendChanges(changes, options, output);
  }
  const read = await readObjects(file);
  if (read.violations.length > 0) {
    output.err(`${formatViolations(read.violations)}\n`);
    return 1;
  }
  const changes = read.objects.map((one) => ({
    op: 'delete',
    kind: one.kind,
    namespace: one.namespace,
    name: one.name,
  }));
  return sendChanges(changes, options, output);
}

/** Sends changes that take effect together; 1 = they were refused. */
export async function sendChanges(
  changes: readonly object[],
  options: ChangeOptions,
  output: Output,
): Promise<number> {
  const { controlPlane: address, tokenFile, caRoot, dryRun, message, confirm, ifRevision } = options;
  const body = { changes, dryRun, message, confirm, ifRevision };
  const answer = await callPlane({ address, tokenFile, caRoot }, '/api/batches', { method: 'POST', body });
  return showAnswer(answer, options, output);
}

interface Applied {
  readonly revision: number;
  readonly changes: readonly {
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly result: string;
  }[];
  readonly warnings?: readonly Complaint[];
  readonly left?: readonly string[];
}

interface Complaint {
  readonly severity: string;
  readonly code: string;
  readonly message: string;
  readonly resource?: string;
  readonly path?: string;
  readonly suggestion?: string;
}

/** Prints what became of a change. */
export async function showAnswer(
  { status, body }: PlaneAnswer,
  { format, dryRun }: Pick<ChangeOptions, 'format' | 'dryRun'>,
  output: Output,
): Promise<number> {
  const isDone = status === 200 || status === 201;
  if (!isDone) tellRefusal(status, body, output);
  if (format === 'json') output.out(`${JSON.stringify(body, undefined, 2)}\n`);
  else if (format === 'yaml') output.out((await import('yaml')).stringify(body));
  if (!isDone) return 1;
  // As openapi.json says.
  const { changes, revision, warnings = [], left = [] } = body as Applied;
  for (const one of warnings) output.err(`${textOf(one)}\n`);
  for (const one of left) output.err(`${one} is left: it stands in a file\n`);
  if (format === 'table' || format === 'name') {
    for (const one of changes) output.out(`${lineOf(one, format, dryRun === true)}\n`);
    output.err(`revision ${revision}\n`);
  }
  return 0;
}

function tellRefusal(status: number, body: unknown, output: Output): void {
  // As openapi.json says.
  const { violations = [] } = body as { readonly violations?: readonly Complaint[] };
  for (const one of violations) output.err(`${textOf(one)}\n`);
  const error = errorOf(body);
  output.err(
    `${error === undefined ? `the control plane answered ${status}` : `${error.code}: ${error.message}`}\n`,
  );
  if (error?.code === 'INMESH_MASS_REMOVAL') output.err('Say --confirm if that is meant\n');
}

function lineOf(
  { kind, namespace, name, result }: Applied['changes'][number],
  format: 'table' | 'name',
  isDryRun: boolean,
): string {
  const text = `${kind.toLowerCase()}/${name}`;
  if (format === 'name') return text;
  return `${text} ${result}${namespace === 'default' ? '' : ` (${namespace})`}${isDryRun ? ' (dry run)' : ''}`;
}

function textOf({ severity, code, message, resource, path, suggestion }: Complaint): string {
  const where = [resource, path].filter((text) => text !== undefined && text !== '').join(' ');
  const hint = suggestion === undefined ? '' : ` (did you mean ${JSON.stringify(suggestion)}?)`;
  return `${where === '' ? '' : `${where}: `}${severity} ${code} ${message}${hint}`;
}
