import { type FileObject, formatViolations, readObjects } from '../control-plane.js';
import type { DiffOptions } from './diff-options.js';
import { kindOf, objectsIn, plainObject, type ShownObject, SOURCE } from './objects.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { previewOf } from './preview.js';
import { type Difference, showDiff, sorted } from './show-diff.js';
import { askStatus } from './status-api.js';

/** Shows what would change, or what changed between revisions; 1 = there is a difference. */
export async function diff(options: DiffOptions, output: Output): Promise<number> {
  const { file, against, ...plane } = options;
  if (file === undefined) return betweenRevisions(options, output);
  const read = await readObjects(file);
  // Of what can't be read nobody knows whether it is different.
  if (read.violations.length > 0) {
    output.err(`${formatViolations(read.violations)}\n`);
    return 2;
  }
  const base = against === undefined ? plane : { ...plane, file: against };
  const known = await objectsIn(base, undefined, output);
  if (known.objects === undefined) return 2;
  // Between two sets of files what is missing is gone; a control plane keeps what is not named.
  const differences = compare(known.objects, read.objects, against !== undefined);
  const wantsPreview =
    against === undefined && (options.requests !== undefined || options.resources === true);
  const preview = wantsPreview ? await previewOf(read.objects, options, output) : undefined;
  if (preview === 'refused') return 2;
  await showDiff(differences, preview, options.format, output);
  return differences.length === 0 ? 0 : 1;
}

function compare(
  known: readonly ShownObject[],
  wanted: readonly FileObject[],
  isAll: boolean,
): readonly Difference[] {
  const keyOf = (kind: string, namespace = 'default', name = '') => `${kind}/${namespace}/${name}`;
  const rest = new Map(
    known.map((one) => [keyOf(kindOf(one), one.metadata.namespace, one.metadata.name), plainObject(one)]),
  );
  const differences: Difference[] = [];
  for (const { kind, namespace, name, object } of wanted) {
    const before = rest.get(keyOf(kind, namespace, name));
    rest.delete(keyOf(kind, namespace, name));
    // A control plane shows no values of Secrets: it is compared which there are.
    const after = normal(isAll ? object : hidden(object), namespace);
    if (before !== undefined && JSON.stringify(normal(before, namespace)) === JSON.stringify(after)) continue;
    const op = before === undefined ? 'created' : 'configured';
    differences.push({ op, kind, namespace, name, after, ...(before !== undefined && { before }) });
  }
  const gone = [...(isAll ? rest.values() : [])].map((before): Difference => {
    const { kind, metadata } = before;
    return { op: 'deleted', kind, namespace: metadata.namespace ?? 'default', name: metadata.name, before };
  });
  return [...differences, ...gone];
}

type Plain = Readonly<Record<string, unknown>>;

function hidden(object: Plain): Plain {
  if (object['kind'] !== 'Secret') return object;
  const hide = (value: unknown) =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.keys(value).map((key) => [key, '(hidden)']))
      : value;
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => [
      key,
      key === 'data' || key === 'stringData' ? hide(value) : value,
    ]),
  );
}

/** One order of fields, the namespace said, and without what only a store says of an object: it is not compared. */
function normal(object: Plain, namespace: string): object {
  const { metadata, status: _, ...rest } = object;
  const { annotations, ...own } = Object.fromEntries(
    fieldsOf(metadata).filter(([key]) => !OF_A_STORE.has(key)),
  );
  const kept = fieldsOf(annotations).filter(([key]) => key !== SOURCE);
  return sorted({
    ...rest,
    metadata: { ...own, ...(kept.length > 0 && { annotations: Object.fromEntries(kept) }), namespace },
  }) as object;
}

function fieldsOf(value: unknown): readonly [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}

const OF_A_STORE: ReadonlySet<string> = new Set([
  'resourceVersion',
  'uid',
  'generation',
  'creationTimestamp',
  'managedFields',
  'selfLink',
]);

async function betweenRevisions(options: DiffOptions, output: Output): Promise<number> {
  const { revision } = (await askStatus(apiOf(options), '/api/history?limit=1')) as {
    readonly revision: number;
  };
  const to = options.to ?? revision;
  const from = options.from ?? to - 1;
  const body = await askStatus(apiOf(options), `/api/diff?from=${from}&to=${to}`);
  const { changes } = body as { readonly changes: readonly Difference[] };
  await showDiff(changes, undefined, options.format, output);
  return changes.length === 0 ? 0 : 1;
}

/** The control plane that options name. */
export function apiOf({ controlPlane: address, tokenFile, caRoot }: PlaneOptions) {
  return { address, tokenFile, caRoot };
}
