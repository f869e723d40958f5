import type { HistoryEntry, ObjectChange } from '../store/history.js';
import { shownObject } from '../store/object.js';
import type { AppliedChange, BatchResult } from '../store/object-store.js';
import { labelsOf, nameOf, readBatch, readExplain, readPreview, readRollback } from './config-requests.js';
import { describeViolation, invalid } from './describe-violation.js';
import { streamEvents } from './events.js';
import { type AdminRequest, type Answer, problem } from './http.js';
import { OPENAPI } from './openapi.js';
import type { AdminOptions } from './options.js';
import type { AdminRoute } from './route.js';

/** A batch may hold all of a mesh. */
const MAX_BATCH_BYTES = 16 * 1024 * 1024;
const ONE = '/api/resources/{kind}/{namespace}/{name}';

/** What operators do with the configuration by HTTP; `openapi.json` describes it. */
export const CONFIG_ROUTES: readonly AdminRoute[] = [
  ...['/openapi.json', '/api/openapi.json'].map(
    (path): AdminRoute => ({
      method: 'GET',
      path,
      role: 'viewer',
      answer: () => ({ status: 200, body: OPENAPI }),
    }),
  ),
  { method: 'GET', path: '/api/resources', role: 'viewer', answer: list },
  { method: 'GET', path: ONE, role: 'viewer', answer: getOne },
  { method: 'POST', path: '/api/resources', role: 'operator', action: 'config.create', answer: create },
  { method: 'PUT', path: ONE, role: 'operator', action: 'config.put', answer: put },
  { method: 'DELETE', path: ONE, role: 'operator', action: 'config.delete', answer: remove },
  { method: 'POST', path: '/api/batches', role: 'operator', action: 'config.batch', answer: applyBatch },
  { method: 'POST', path: '/api/dry-run', role: 'viewer', answer: dryRun },
  { method: 'GET', path: '/api/history', role: 'viewer', answer: history },
  { method: 'GET', path: '/api/history/{revision}', role: 'viewer', answer: historyEntry },
  { method: 'GET', path: '/api/diff', role: 'viewer', answer: diff },
  {
    method: 'POST',
    path: '/api/rollback',
    role: 'operator',
    action: 'config.rollback',
    answer: rollback,
  },
  {
    method: 'POST',
    path: '/api/held/confirm',
    role: 'operator',
    action: 'config.confirm',
    answer: confirm,
  },
  { method: 'GET', path: '/api/explain', role: 'viewer', answer: explain },
  { method: 'GET', path: '/api/services', role: 'viewer', answer: services },
  { method: 'GET', path: '/api/sync/{client}', role: 'viewer', answer: sync },
  { method: 'GET', path: '/api/events', role: 'viewer', answer: events },
  { method: 'GET', path: '/api/proxy-config/{client}', role: 'viewer', answer: proxyConfig },
];

function list({ query }: AdminRequest, { config }: AdminOptions): Answer {
  const kind = query.get('kind');
  const labels = query.getAll('labels').flatMap((text) => text.split(','));
  const items = config.list({
    kind: kind === null ? undefined : nameOf(kind, '', '').kind,
    namespace: query.get('namespace') ?? undefined,
    labels: labelsOf(labels),
  });
  return { status: 200, body: { revision: config.revision, items } };
}

function nameIn([kind = '', namespace = '', name = '']: readonly string[]) {
  return nameOf(kind, namespace, name);
}

function getOne({ path }: AdminRequest, { config }: AdminOptions, ...names: string[]): Answer {
  const found = config.get(nameIn(names));
  if (found === undefined) return problem(404, 'INMESH_NOT_FOUND', `there is nothing at ${path}`);
  const version = found.metadata['resourceVersion'];
  return {
    status: 200,
    body: found,
    ...(typeof version === 'string' && { headers: { etag: `"${version}"` } }),
  };
}

async function create(request: AdminRequest, { config }: AdminOptions): Promise<Answer> {
  const object = await request.json(MAX_BATCH_BYTES);
  return answerTo(config.apply({ ...asked(request), changes: [{ op: 'create', object }] }), 201);
}

async function put(request: AdminRequest, { config }: AdminOptions, ...names: string[]): Promise<Answer> {
  const name = nameIn(names);
  const body = await request.json(MAX_BATCH_BYTES);
  const object = withName(body, name, request.ifMatch);
  if (object === undefined)
    return problem(400, 'INMESH_OPTION_INVALID', 'the object is not the one that the path names');
  return answerTo(config.apply({ ...asked(request), changes: [{ op: 'apply', object }] }));
}

/** The object with what the path says of it; undefined when it says something else. */
function withName(
  body: unknown,
  { kind, namespace, name }: ReturnType<typeof nameOf>,
  version: string | undefined,
) {
  if (typeof body !== 'object' || body === null) return undefined;
  const object = body as { readonly kind?: unknown; readonly metadata?: Readonly<Record<string, unknown>> };
  const { metadata = {} } = object;
  const isOther =
    (object.kind ?? kind) !== kind ||
    (metadata['name'] ?? name) !== name ||
    (metadata['namespace'] ?? namespace) !== namespace;
  if (isOther) return undefined;
  const resourceVersion = version ?? metadata['resourceVersion'];
  return { ...object, kind, metadata: { ...metadata, name, namespace, resourceVersion } };
}

function remove(request: AdminRequest, { config }: AdminOptions, ...names: string[]): Answer {
  const change = { op: 'delete' as const, ...nameIn(names), resourceVersion: request.ifMatch };
  return answerTo(config.apply({ ...asked(request), changes: [change] }));
}

/** What a query says of a single change. */
function asked({ query, actor }: AdminRequest) {
  return {
    author: actor,
    message: query.get('message') ?? undefined,
    isDryRun: query.get('dryRun') === 'true',
    isConfirmed: query.get('confirm') === 'true',
  };
}

async function applyBatch(request: AdminRequest, { config }: AdminOptions): Promise<Answer> {
  return answerTo(config.apply(readBatch(await request.json(MAX_BATCH_BYTES), request.actor)));
}

async function dryRun(request: AdminRequest, { config, work }: AdminOptions): Promise<Answer> {
  const { batch, options } = readPreview(await request.json(MAX_BATCH_BYTES), request.actor);
  return work.spend(async () => {
    const { result, profiles, requests } = await config.preview(batch, options);
    const answer = answerTo(result);
    return { ...answer, body: { ...(answer.body as object), profiles, requests } };
  });
}

function history({ query }: AdminRequest, { config }: AdminOptions): Answer {
  const limit = Number(query.get('limit') ?? 100);
  const entries = limit > 0 ? config.history.entries.slice(-limit) : [];
  const briefly = [...entries].reverse().map(({ changes, ...entry }) => ({
    ...describeEntry(entry),
    changes: changes?.map(briefChange),
  }));
  return { status: 200, body: { revision: config.revision, entries: briefly } };
}

function historyEntry(_: AdminRequest, { config }: AdminOptions, revision = ''): Answer {
  const entry = config.history.entries.findLast((one) => one.revision === Number(revision));
  if (entry === undefined) return problem(404, 'INMESH_NOT_FOUND', `revision ${revision} is not known`);
  const { changes, ...rest } = entry;
  return { status: 200, body: { ...describeEntry(rest), changes: changes?.map(shownChange) } };
}

function diff({ query }: AdminRequest, { config }: AdminOptions): Answer {
  const [from, to] = [Number(query.get('from')), Number(query.get('to') ?? config.revision)];
  if (query.get('from') === null || !Number.isInteger(from) || !Number.isInteger(to))
    return problem(400, 'INMESH_OPTION_INVALID', 'from and to are revisions');
  return { status: 200, body: { from, to, changes: config.changesBetween(from, to).map(shownChange) } };
}

async function rollback(request: AdminRequest, { config }: AdminOptions): Promise<Answer> {
  const { to, options } = readRollback(await request.json(), request.actor);
  const { result, left } = config.rollback(to, options);
  const answer = answerTo(result);
  return { ...answer, body: { ...(answer.body as object), left } };
}

function confirm(_: AdminRequest, { config, registry }: AdminOptions): Answer {
  const registrations = registry.confirm();
  const result = config.store.confirm();
  if (result === undefined && registrations === 0)
    return problem(404, 'INMESH_NOT_FOUND', 'nothing is held back');
  if (result?.accepted === false) return invalid(result.violations);
  return { status: 200, body: { revision: config.revision, registrations } };
}

async function explain({ query }: AdminRequest, { config }: AdminOptions): Promise<Answer> {
  return { status: 200, body: await config.explain(readExplain(query)) };
}

function events(request: AdminRequest, options: AdminOptions): Answer {
  return streamEvents(request, options);
}

function services({ query }: AdminRequest, { config }: AdminOptions): Answer {
  const [namespace, name] = [query.get('namespace') ?? undefined, query.get('name') ?? undefined];
  return { status: 200, body: { revision: config.revision, services: config.services({ namespace, name }) } };
}

function sync(_: AdminRequest, { clientSync }: AdminOptions, id = ''): Answer {
  const found = clientSync(id);
  return found === undefined ? noClient(id) : { status: 200, body: found };
}

function noClient(id = ''): Answer {
  const message = `${JSON.stringify(id)} is no client, or more than one: inmesh status lists them`;
  return problem(404, 'INMESH_NOT_FOUND', message);
}

function proxyConfig({ query }: AdminRequest, { clientConfig }: AdminOptions, id = ''): Answer {
  const found = clientConfig(id, query.get('type') ?? undefined);
  return found === undefined ? noClient(id) : { status: 200, body: found };
}

function answerTo(result: BatchResult, status = 200): Answer {
  switch (result.kind) {
    case 'accepted':
      return { status, body: acceptedBody(result) };
    case 'conflict':
      return problem(409, 'INMESH_CONFLICT', result.reasons.join('; '));
    case 'missing':
      return problem(404, 'INMESH_NOT_FOUND', result.reasons.join('; '));
    case 'invalid':
      return invalid(result.violations);
    case 'held': {
      const what = result.removals
        .map(({ sort, removed, total }) => `${removed} of ${total} ${sort}`)
        .join(', ');
      const message = `the change would remove ${what} at once; confirm it, or make it smaller`;
      const { body } = problem(409, 'INMESH_MASS_REMOVAL', message);
      return { status: 409, body: { ...(body as object), removals: result.removals } };
    }
  }
}

function acceptedBody({ revision, changes, warnings }: Extract<BatchResult, { kind: 'accepted' }>): {
  readonly revision: number;
  readonly changes: readonly AppliedChange[];
  readonly warnings: readonly object[];
} {
  return { revision, changes, warnings: warnings.map(describeViolation) };
}

function describeEntry({ at, ...rest }: Omit<HistoryEntry, 'changes'>): object {
  return { ...rest, at: new Date(at).toISOString() };
}

function briefChange({ kind, namespace, name, before, after }: ObjectChange): object {
  const op = before === undefined ? 'created' : after === undefined ? 'deleted' : 'configured';
  return { op, kind, namespace, name };
}

function shownChange(change: ObjectChange): object {
  const { before, after } = change;
  return {
    ...briefChange(change),
    before: before && shownObject({ ...before }),
    after: after && shownObject({ ...after }),
  };
}
