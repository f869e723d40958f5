import type { FileObject } from '../control-plane.js';
import type { Output } from './output.js';
import { type Complaint, complaintText, withPlaces } from './placed.js';
import type { PlaneOptions } from './plane-options.js';
import { print } from './print.js';
import { callPlane, errorOf, type PlaneAnswer } from './status-api.js';

/** Who looks at a change that is not to be made; none = it is made. */
export type DryRun = 'none' | 'client' | 'server';

/** How a change is sent. */
export interface ChangeOptions extends PlaneOptions {
  readonly file?: readonly string[];
  readonly namespace?: string;
  readonly dryRun?: DryRun;
  readonly message?: string;
  readonly confirm?: boolean;
  readonly ifRevision?: number;
  readonly ignoreNotFound?: boolean;
  readonly format: 'table' | 'json' | 'yaml' | 'name';
}

/** Where the objects of a change were read. */
export interface ReadFrom {
  readonly objects: readonly FileObject[];
  /** Of those that name none. */
  readonly namespace: string | undefined;
}

const NOWHERE: ReadFrom = { objects: [], namespace: undefined };

/** Sends changes that take effect together; 1 = they were refused. */
export async function sendChanges(
  changes: readonly object[],
  options: ChangeOptions,
  output: Output,
  from: ReadFrom = NOWHERE,
): Promise<number> {
  return showAnswer(await postChanges(changes, options), options, output, from);
}

/** Sends changes that take effect together. */
export function postChanges(changes: readonly object[], options: ChangeOptions): Promise<PlaneAnswer> {
  const { controlPlane: address, tokenFile, caRoot, message, confirm, ifRevision } = options;
  const body = { changes, dryRun: isDryRun(options), message, confirm, ifRevision };
  return callPlane({ address, tokenFile, caRoot }, '/api/batches', { method: 'POST', body });
}

/** Whether nothing is to be changed. */
export function isDryRun({ dryRun }: Pick<ChangeOptions, 'dryRun'>): boolean {
  return dryRun === 'client' || dryRun === 'server';
}

/** What became of one object. */
interface AppliedChange {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly result: string;
}

/** As openapi.json says. */
export interface Applied {
  /** Undefined = nobody was asked. */
  readonly revision?: number;
  readonly changes: readonly AppliedChange[];
  readonly warnings?: readonly Complaint[];
  readonly left?: readonly string[];
}

/** Prints what became of a change. */
export async function showAnswer(
  { status, body }: PlaneAnswer,
  options: Pick<ChangeOptions, 'format' | 'dryRun'>,
  output: Output,
  from: ReadFrom = NOWHERE,
): Promise<number> {
  const isDone = status === 200 || status === 201;
  if (!isDone) {
    const shown = withPlacesOfFiles(body, from);
    tellRefusal(status, body, output, from);
    // What the control plane could not do (a full disk) is no finding.
    if (status >= 500) return 2;
    const { format } = options;
    if (format === 'json' || format === 'yaml') await print(output, format, shown, () => []);
    return 1;
  }
  // As openapi.json says.
  await showApplied(body as Applied, options, output, from);
  return 0;
}

/** Prints what was done. */
export async function showApplied(
  applied: Applied,
  options: Pick<ChangeOptions, 'format' | 'dryRun'>,
  output: Output,
  from: ReadFrom = NOWHERE,
): Promise<void> {
  const { changes, revision, warnings = [], left = [] } = applied;
  const { format } = options;
  for (const one of warnings) output.err(`${complaintText(one, from.objects, from.namespace)}\n`);
  for (const one of left) output.err(`${one} is left: it stands in a file\n`);
  if (format === 'json' || format === 'yaml') {
    const placed = withPlaces(warnings, from.objects, from.namespace);
    await print(output, format, { ...applied, warnings: placed }, () => []);
    return;
  }
  for (const one of changes) output.out(`${lineOf(one, format, options)}\n`);
  if (revision === undefined) return;
  output.err(isDryRun(options) ? `revision would be ${revision}\n` : `revision ${revision}\n`);
}

function withPlacesOfFiles(body: unknown, { objects, namespace }: ReadFrom): unknown {
  const violations = violationsOf(body);
  if (violations === undefined || typeof body !== 'object') return body;
  return { ...body, violations: withPlaces(violations, objects, namespace) };
}

function violationsOf(body: unknown): readonly Complaint[] | undefined {
  // As openapi.json says.
  if (typeof body !== 'object' || body === null || !('violations' in body)) return undefined;
  return body.violations as readonly Complaint[];
}

function tellRefusal(status: number, body: unknown, output: Output, from: ReadFrom): void {
  for (const one of violationsOf(body) ?? [])
    output.err(`${complaintText(one, from.objects, from.namespace)}\n`);
  const error = errorOf(body);
  output.err(
    `${error === undefined ? `the control plane answered ${status}` : `${error.code}: ${error.message}`}\n`,
  );
  if (error?.code === 'INMESH_MASS_REMOVAL') output.err('Say --confirm if that is meant\n');
}

function lineOf(
  { kind, namespace, name, result }: AppliedChange,
  format: 'table' | 'name',
  options: Pick<ChangeOptions, 'dryRun'>,
): string {
  const text = `${kind.toLowerCase()}/${name}`;
  if (format === 'name') return text;
  const dry = isDryRun(options) ? ` (${options.dryRun} dry run)` : '';
  return `${text} ${result}${namespace === 'default' ? '' : ` (${namespace})`}${dry}`;
}
