import { z } from 'zod';
import { version } from '../../runtime/version.js';
import { BODIES } from './config-requests.js';

const text = { type: 'string' } as const;
const whole = { type: 'integer' } as const;
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const list = (items: object) => ({ type: 'array', items });
const object = (properties: Readonly<Record<string, object>>, required: readonly string[] = []) => ({
  type: 'object',
  properties,
  required,
});
const json = (schema: object) => ({ 'application/json': { schema } });
const inQuery = (name: string, schema: object, description: string) => ({
  name,
  in: 'query',
  schema,
  description,
});
const inPath = (name: string) => ({ name, in: 'path', required: true, schema: text });
const ok = (description: string, schema: object) => ({ description, content: json(schema) });

const ERRORS = {
  400: { $ref: '#/components/responses/Error' },
  401: { $ref: '#/components/responses/Error' },
  403: { $ref: '#/components/responses/Error' },
};
const WRITE_ERRORS = {
  ...ERRORS,
  404: { $ref: '#/components/responses/Error' },
  409: {
    description: 'Somebody was faster (INMESH_CONFLICT), or it would remove too much (INMESH_MASS_REMOVAL).',
    content: json(ref('Error')),
  },
  422: { description: 'The configuration would be invalid: every violation.', content: json(ref('Invalid')) },
  507: {
    description: 'It could not be written (INMESH_STORE_WRITE); nothing was changed.',
    content: json(ref('Error')),
  },
};

const NAME = [inPath('kind'), inPath('namespace'), inPath('name')];
const CHANGE_QUERY = [
  inQuery('dryRun', { type: 'boolean' }, 'Looks only.'),
  inQuery('confirm', { type: 'boolean' }, 'It may remove as much as it likes.'),
  inQuery('message', text, 'For the history.'),
];
const IF_MATCH = {
  name: 'If-Match',
  in: 'header',
  schema: text,
  description: 'The resourceVersion that the object must still have.',
};
const read = (summary: string, answer: object, parameters: readonly object[] = []) => ({
  summary,
  parameters,
  responses: { 200: ok('What there is.', answer), ...ERRORS },
});
const write = (
  summary: string,
  body: object | undefined,
  parameters: readonly object[],
  answer: object = ref('Applied'),
) => ({
  summary: `${summary} Role operator.`,
  parameters,
  ...(body !== undefined && { requestBody: { required: true, content: json(body) } }),
  responses: { 200: ok('It is in force, and on the disk.', answer), ...WRITE_ERRORS },
});
const schemaOf = (schema: z.ZodType) => z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' });

const EXPLAIN_QUERY = [
  inQuery('method', text, 'Default GET.'),
  { ...inQuery('url', text, 'Such as http://reviews/ratings/42.'), required: true },
  inQuery('from', text, 'namespace/name of the caller.'),
  inQuery('header', list(text), 'name:value, as often as there are headers.'),
  inQuery('labels', text, 'key=value of the caller.'),
  inQuery('gateway', text, 'namespace/name of the Gateway by which it comes in.'),
  inQuery('draw', { type: 'number' }, 'In [0, 1): chooses among weighted clusters.'),
];

const CHANGE = object({ op: text, kind: text, namespace: text, name: text });
const SHOWN_CHANGE = object({
  op: text,
  kind: text,
  namespace: text,
  name: text,
  before: { type: 'object' },
  after: { type: 'object' },
});

const SCHEMAS = {
  Object: object({ apiVersion: text, kind: text, metadata: { type: 'object' }, spec: { type: 'object' } }, [
    'apiVersion',
    'kind',
    'metadata',
  ]),
  Applied: object(
    {
      revision: whole,
      changes: list(
        object({
          kind: text,
          namespace: text,
          name: text,
          result: { enum: ['created', 'configured', 'unchanged', 'deleted'] },
          resourceVersion: text,
        }),
      ),
      warnings: list(ref('Violation')),
    },
    ['revision', 'changes'],
  ),
  Violation: object(
    {
      code: text,
      severity: { enum: ['error', 'warning'] },
      message: text,
      file: text,
      line: whole,
      column: whole,
      path: text,
      resource: text,
      suggestion: text,
    },
    ['code', 'severity', 'message'],
  ),
  Error: object({ error: object({ code: text, message: text }, ['code', 'message']) }, ['error']),
  Invalid: object({ error: object({ code: text, message: text }), violations: list(ref('Violation')) }, [
    'error',
    'violations',
  ]),
  HistoryEntry: object(
    {
      revision: whole,
      at: { type: 'string', format: 'date-time' },
      source: text,
      author: text,
      message: text,
      changeCount: whole,
      changes: list(CHANGE),
    },
    ['revision', 'at', 'source', 'changeCount'],
  ),
  Batch: schemaOf(BODIES.batch),
  DryRun: schemaOf(BODIES.preview),
  Rollback: schemaOf(BODIES.rollback),
};

const PATHS = {
  '/openapi.json': { get: read('This document.', { type: 'object' }) },
  '/version': { get: read('The version of the control plane.', object({ version: text })) },
  '/api/status': { get: read('Revision, clients, what was refused or is held back.', { type: 'object' }) },
  '/api/config': { get: read('The configuration in force, as it is understood.', { type: 'object' }) },
  '/api/resources': {
    get: read('The objects in force.', object({ revision: whole, items: list(ref('Object')) }), [
      inQuery('kind', text, 'Also in the plural or short: vs, dr, svc.'),
      inQuery('namespace', text, 'Default: all.'),
      inQuery('labels', text, 'key=value, with commas between.'),
    ]),
    post: write('Creates an object.', ref('Object'), CHANGE_QUERY),
  },
  '/api/resources/{kind}/{namespace}/{name}': {
    get: read('One object; its resourceVersion is the ETag.', ref('Object'), NAME),
    put: write('Creates or replaces an object.', ref('Object'), [...NAME, IF_MATCH, ...CHANGE_QUERY]),
    delete: write('Deletes an object.', undefined, [...NAME, IF_MATCH, ...CHANGE_QUERY]),
  },
  '/api/batches': { post: write('Changes several objects, all or none.', ref('Batch'), []) },
  '/api/dry-run': {
    post: {
      summary:
        'What a batch would change: objects, xDS resources for each kind of client, what becomes of requests.',
      requestBody: { required: true, content: json(ref('DryRun')) },
      responses: { 200: ok('Nothing was changed.', { type: 'object' }), ...WRITE_ERRORS },
    },
  },
  '/api/history': {
    get: read(
      'The last revisions, newest first.',
      object({ revision: whole, entries: list(ref('HistoryEntry')) }),
      [inQuery('limit', whole, 'Default 100.')],
    ),
  },
  '/api/history/{revision}': {
    get: read('One revision, with every object before and after.', ref('HistoryEntry'), [inPath('revision')]),
  },
  '/api/diff': {
    get: read(
      'What changed between two revisions.',
      object({ from: whole, to: whole, changes: list(SHOWN_CHANGE) }),
      [
        { ...inQuery('from', whole, 'The older one, as a rule.'), required: true },
        inQuery('to', whole, 'Default: the one in force.'),
      ],
    ),
  },
  '/api/rollback': { post: write('Makes the objects of the store what they were.', ref('Rollback'), []) },
  '/api/held/confirm': {
    post: write('Takes into force what is held back.', object({}), [], object({ revision: whole })),
  },
  '/api/explain': { get: read('What becomes of a request.', { type: 'object' }, EXPLAIN_QUERY) },
  '/api/events': {
    get: {
      summary: 'Changes as server-sent events: config, rejected, held; hello or reset first.',
      parameters: [
        {
          name: 'Last-Event-ID',
          in: 'header',
          schema: whole,
          description: 'The revision that was seen last.',
        },
      ],
      responses: {
        200: { description: 'A stream.', content: { 'text/event-stream': { schema: text } } },
        ...ERRORS,
      },
    },
  },
  '/api/proxy-config/{client}': {
    get: read('What a client was sent, and what it said of it.', { type: 'object' }, [
      inPath('client'),
      inQuery(
        'type',
        { enum: ['all', 'listeners', 'routes', 'clusters', 'endpoints', 'secrets'] },
        'Default: all.',
      ),
    ]),
  },
  '/api/applied': {
    get: read('Waits until a revision has arrived everywhere (409: it has not).', { type: 'object' }, [
      inQuery('revision', whole, 'Default: the one in force.'),
      inQuery('timeoutMs', whole, 'Default 10000.'),
    ]),
  },
  '/api/mtls': {
    get: read('Who speaks mTLS to whom.', { type: 'object' }, [inQuery('namespace', text, 'Default: all.')]),
  },
  '/api/load': { get: read('What clients report of their load.', { type: 'object' }) },
  '/api/workloads': {
    get: read('Registered workloads.', { type: 'object' }),
    post: write('Registers a workload.', { type: 'object' }, [], { type: 'object' }),
  },
  '/api/workloads/{id}': {
    delete: write('Removes a workload.', undefined, [inPath('id')], { type: 'object' }),
  },
  '/api/join-tokens': {
    get: read('Unused join tokens. Role admin.', { type: 'object' }),
    post: write('Makes a join token. Role admin.', { type: 'object' }, [], { type: 'object' }),
  },
  '/api/join-tokens/{hash}': {
    delete: write('Withdraws a join token. Role admin.', undefined, [inPath('hash')], { type: 'object' }),
  },
};

/** The HTTP API of the control plane (OpenAPI 3.1). */
export const OPENAPI = {
  openapi: '3.1.0',
  info: {
    title: 'inmesh control plane',
    version,
    description:
      'Reading needs the role viewer, changing operator. Changes have content-type application/json, and are in the audit log before they happen.',
  },
  security: [{ bearer: [] }, {}],
  paths: PATHS,
  components: {
    securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    responses: { Error: { description: 'Why not.', content: json(ref('Error')) } },
    schemas: SCHEMAS,
  },
};
