import { z } from 'zod';
import { MeshError } from '../../runtime/errors.js';
import type { ExplainQuery } from '../explain/explain-in.js';
import { kindNamed } from '../kinds/kind-names.js';
import type { ObjectName } from '../store/object.js';
import type { Batch, RequestedChange } from '../store/object-store.js';
import { parseBody } from './parse-body.js';

const change = z.discriminatedUnion('op', [
  z.strictObject({ op: z.enum(['apply', 'create']), object: z.record(z.string(), z.unknown()) }),
  z.strictObject({
    op: z.literal('delete'),
    kind: z.string(),
    namespace: z.string().default('default'),
    name: z.string(),
    resourceVersion: z.string().optional(),
  }),
]);

const request = z.strictObject({
  method: z.string().default('GET'),
  url: z.string(),
  from: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  headers: z.array(z.tuple([z.string(), z.string()])).optional(),
  gateway: z.string().optional(),
  count: z.int().min(1).optional(),
});

const batch = z.strictObject({
  changes: z.array(change).max(20_000),
  ifRevision: z.int().optional(),
  message: z.string().max(1_000).optional(),
  dryRun: z.boolean().optional(),
  confirm: z.boolean().optional(),
});

const preview = batch.extend({
  namespace: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  requests: z.array(request).max(10_000).optional(),
});

const rollback = z.strictObject({
  to: z.int(),
  message: z.string().max(1_000).optional(),
  dryRun: z.boolean().optional(),
  confirm: z.boolean().optional(),
});

/** The body of `POST /api/batches`, by JSON Schema. */
export const BODIES = { batch, preview, rollback };

/** @throws MeshError `INMESH_OPTION_INVALID`. */
export function readBatch(body: unknown, author: string): Batch {
  return batchOf(parseBody(batch, body), author);
}

/** The body of `POST /api/dry-run`. */
export function readPreview(body: unknown, author: string) {
  const { namespace, labels, requests, ...rest } = parseBody(preview, body);
  return { batch: batchOf(rest, author), options: { namespace, labels, requests } };
}

/** The body of `POST /api/rollback`. */
export function readRollback(body: unknown, author: string) {
  const { to, message, dryRun, confirm } = parseBody(rollback, body);
  return { to, options: { message, author, isDryRun: dryRun, isConfirmed: confirm } };
}

function batchOf(input: z.output<typeof batch>, author: string): Batch {
  const { changes, ifRevision, message, dryRun, confirm } = input;
  return {
    changes: changes.map(
      (one): RequestedChange =>
        one.op === 'delete' ? { ...one, ...nameOf(one.kind, one.namespace, one.name) } : one,
    ),
    ifRevision,
    author,
    message,
    isDryRun: dryRun,
    isConfirmed: confirm,
  };
}

/** @throws MeshError `INMESH_OPTION_INVALID` for a kind that there is not. */
export function nameOf(kind: string, namespace: string, name: string): ObjectName {
  const meant = kindNamed(kind);
  if (meant === undefined)
    throw new MeshError('INMESH_OPTION_INVALID', `there is no kind ${JSON.stringify(kind)}`);
  return { kind: meant, namespace, name };
}

/** The question of `GET /api/explain`. */
export function readExplain(query: URLSearchParams): ExplainQuery {
  const url = query.get('url');
  if (url === null) throw new MeshError('INMESH_OPTION_INVALID', 'url: the URL of the request is needed');
  const draw = query.get('draw');
  const labels = query.getAll('labels').flatMap((text) => text.split(','));
  return {
    method: query.get('method') ?? 'GET',
    url,
    from: query.get('from') ?? undefined,
    gateway: query.get('gateway') ?? undefined,
    draw: draw === null ? undefined : Number(draw),
    labels: labels.length === 0 ? undefined : labelsOf(labels),
    headers: query.getAll('header').map((text) => {
      const colon = text.indexOf(':', 1);
      return colon < 0
        ? ([text, ''] as const)
        : ([text.slice(0, colon), text.slice(colon + 1).trim()] as const);
    }),
  };
}

/** Labels from `key=value`. */
export function labelsOf(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts
      .filter((text) => text !== '')
      .map((text) => {
        const [key = '', ...value] = text.split('=');
        return [key, value.join('=')];
      }),
  );
}
