import { version } from '../../runtime/version.js';
import {
  any,
  ask,
  flag,
  inPath,
  inQuery,
  json,
  list,
  object,
  ok,
  oneOf,
  read,
  readText,
  ref,
  text,
  whole,
  write,
} from './openapi-kit.js';
import { SCHEMAS } from './openapi-schemas.js';

const NAME = [inPath('kind'), inPath('namespace'), inPath('name')];
const CHANGE_QUERY = [
  inQuery('dryRun', flag, 'Looks only.'),
  inQuery('confirm', flag, 'It may remove as much as it likes.'),
  inQuery('message', text, 'For the history.'),
];
const IF_MATCH = {
  name: 'If-Match',
  in: 'header',
  schema: text,
  description: 'The resourceVersion that the object must still have.',
};
const WITH = [inQuery('with', oneOf('stored'), 'Laid over what is in force, with registered workloads.')];
const EXPLAIN_QUERY = [
  inQuery('method', text, 'Default GET.'),
  { ...inQuery('url', text, 'Such as http://reviews/ratings/42.'), required: true },
  inQuery('from', text, 'namespace/name of the caller.'),
  inQuery('header', list(text), 'name:value, as often as there are headers.'),
  inQuery('labels', text, 'key=value of the caller.'),
  inQuery('gateway', text, 'namespace/name of the Gateway by which it comes in.'),
  inQuery('draw', { type: 'number' }, 'In [0, 1): chooses among weighted clusters.'),
];
const health = () => ({
  summary: 'Whether it lives. For everybody.',
  parameters: [],
  responses: { 200: { description: 'It does.', content: { 'text/plain': { schema: text } } } },
});

const CONFIG_PATHS = {
  '/api/resources': {
    get: read('The objects in force.', object({ revision: whole, items: list(ref('Object')) }), [
      inQuery('kind', text, 'Also in the plural or short: vs, dr, svc.'),
      inQuery('namespace', text, 'Default: all.'),
      inQuery('labels', text, 'key=value, with commas between.'),
    ]),
    post: write('Creates an object.', { body: ref('Object'), parameters: CHANGE_QUERY, status: 201 }),
  },
  '/api/resources/{kind}/{namespace}/{name}': {
    get: read('One object; its resourceVersion is the ETag.', ref('Object'), NAME),
    put: write('Creates or replaces an object.', {
      body: ref('Object'),
      parameters: [...NAME, IF_MATCH, ...CHANGE_QUERY],
    }),
    delete: write('Deletes an object.', { parameters: [...NAME, IF_MATCH, ...CHANGE_QUERY] }),
  },
  '/api/batches': { post: write('Changes several objects, all or none.', { body: ref('Batch') }) },
  '/api/dry-run': {
    post: ask(
      'What a batch would change: objects, xDS resources for each kind of client, what becomes of requests.',
      ref('DryRun'),
      ref('Preview'),
    ),
  },
  '/api/history': {
    get: read(
      'The last revisions, newest first.',
      object({ revision: whole, entries: list(ref('HistoryEntry')) }),
      [inQuery('limit', whole, 'Default 100.')],
    ),
  },
  '/api/history/{revision}': {
    get: read('One revision, with every object before and after.', ref('FullHistoryEntry'), [
      inPath('revision'),
    ]),
  },
  '/api/diff': {
    get: read(
      'What changed between two revisions.',
      object({ from: whole, to: whole, changes: list(ref('ShownChange')) }),
      [
        { ...inQuery('from', whole, 'The older one, as a rule.'), required: true },
        inQuery('to', whole, 'Default: the one in force.'),
      ],
    ),
  },
  '/api/rollback': {
    post: write('Makes the objects of the store what they were.', { body: ref('Rollback') }),
  },
  '/api/held/confirm': {
    post: write('Takes into force what is held back.', {
      body: any,
      answer: object({ revision: whole, registrations: whole }),
    }),
  },
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
        inQuery('kind', text, 'Only revisions that change objects of it.'),
        inQuery('namespace', text, 'Only revisions that change objects in it.'),
      ],
      responses: {
        200: { description: 'A stream.', content: { 'text/event-stream': { schema: text } } },
        400: { $ref: '#/components/responses/Error' },
        401: { $ref: '#/components/responses/Error' },
        403: { $ref: '#/components/responses/Error' },
      },
    },
  },
};

const DOCUMENT_PATHS = {
  '/api/analyze': {
    post: ask('Analyzes documents.', ref('Analyze'), list(ref('Finding')), WITH),
  },
  '/api/validate': { post: ask('Validates documents.', ref('Validate'), ref('Validated'), WITH) },
  '/api/compile': {
    post: ask('Compiles documents for one client, in Envoy’s JSON.', ref('Compile'), ref('Compiled'), WITH),
  },
  '/api/compile/rbac': {
    post: ask(
      'Compiles the policies of one workload to filters, in Envoy’s JSON.',
      ref('CompileAuthorization'),
      ref('CompiledAuthorization'),
      WITH,
    ),
  },
  '/api/authz/check': {
    post: ask(
      'The policies of a workload, and what they say of a request.',
      ref('CheckAuthorization'),
      ref('CheckedAuthorization'),
      WITH,
    ),
  },
  '/api/convert': {
    post: ask(
      'Converts documents of Istio to the Gateway API, or back; losses tell what has no equal.',
      ref('Convert'),
      ref('Converted'),
      WITH,
    ),
  },
  '/api/migrate/rbac': {
    post: ask(
      'The AuthorizationPolicies that stand for ServiceRoles, ServiceRoleBindings and RbacConfigs.',
      ref('MigrateRbac'),
      ref('MigratedRbac'),
      WITH,
    ),
  },
  '/api/explain': {
    get: read('What becomes of a request.', ref('Explanation'), EXPLAIN_QUERY),
    post: ask('What documents would do with a request.', ref('Explain'), ref('Explanation'), WITH),
  },
};

const STATE_PATHS = {
  '/openapi.json': { get: read('This document.', any) },
  '/api/openapi.json': { get: read('This document, with the rest of the API.', any) },
  '/healthz/live': { get: health() },
  '/healthz/ready': { get: health() },
  '/ready': { get: health() },
  '/version': { get: read('The version of the control plane.', object({ version: text })) },
  '/metrics': { get: readText('Metrics in Prometheus’ format.') },
  '/debug/syncz': { get: read('Clients, as Istio lists them.', list(ref('Client'))) },
  '/api/status': { get: read('Revision, clients, what was refused or is held back.', ref('Status')) },
  '/api/config': { get: read('The configuration in force, as it is understood.', ref('Config')) },
  '/api/proxy-config/{client}': {
    get: read('What a client was sent, and what it said of it.', ref('ClientConfig'), [
      inPath('client'),
      inQuery(
        'type',
        oneOf('all', 'listeners', 'routes', 'clusters', 'endpoints', 'secrets'),
        'Default: all.',
      ),
    ]),
  },
  '/api/sync/{client}': {
    get: read(
      'What a client accepted against what the newest configuration has for it, resource by resource.',
      ref('Sync'),
      [inPath('client')],
    ),
  },
  '/api/services': {
    get: read(
      'The services of the mesh, also those that only workloads tell of: endpoints, subsets, routes, policies, mTLS.',
      object({ revision: whole, services: list(ref('Service')) }),
      [inQuery('namespace', text, 'Default: all.'), inQuery('name', text, 'Or the host.')],
    ),
  },
  '/api/applied': {
    get: {
      summary: 'Waits until a revision has arrived everywhere.',
      parameters: [
        inQuery('revision', whole, 'Default: the one in force.'),
        inQuery('timeoutMs', whole, 'Default 10000.'),
      ],
      responses: {
        200: ok('It has.', ref('Applying')),
        400: { $ref: '#/components/responses/Error' },
        401: { $ref: '#/components/responses/Error' },
        403: { $ref: '#/components/responses/Error' },
        409: ok('It has not.', ref('Applying')),
      },
    },
  },
  '/api/mtls': {
    get: read('Who speaks mTLS to whom.', ref('Mtls'), [inQuery('namespace', text, 'Default: all.')]),
  },
  '/api/load': { get: read('What clients report of their load.', ref('Load')) },
  '/api/workloads': {
    get: read('Registered workloads.', ref('Workloads')),
    post: write('Registers a workload.', {
      body: ref('Workload'),
      answer: object({ id: text, ttlMs: whole }),
    }),
  },
  '/api/workloads/{id}': {
    delete: write('Removes a workload.', {
      parameters: [inPath('id')],
      answer: object({ id: text, removed: flag }),
    }),
  },
  '/api/join-tokens': {
    get: read('Unused join tokens. Role admin.', object({ joinTokens: list(ref('ListedJoinToken')) })),
    post: write('Makes a join token.', {
      body: ref('JoinToken'),
      answer: { allOf: [ref('ListedJoinToken'), object({ token: text })] },
      status: 201,
      role: 'admin',
    }),
  },
  '/api/join-tokens/{hash}': {
    delete: write('Withdraws a join token.', {
      parameters: [inPath('hash')],
      answer: object({ hash: text, revoked: flag }),
      role: 'admin',
    }),
  },
  '/api/ca': { get: read('The certificate authority, where there is one.', ref('Authority')) },
  '/ca/roots.pem': { get: readText('The roots that members trust.') },
  '/ca/crl.pem': { get: readText('The revocation list.') },
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
  paths: { ...CONFIG_PATHS, ...DOCUMENT_PATHS, ...STATE_PATHS },
  components: {
    securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    responses: { Error: { description: 'Why not.', content: json(ref('Error')) } },
    schemas: SCHEMAS,
  },
};
