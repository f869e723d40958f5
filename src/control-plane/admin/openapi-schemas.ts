import { z } from 'zod';
import { BODIES } from './config-requests.js';
import { DOCUMENT_BODIES } from './document-requests.js';
import { joinTokenBody } from './join-tokens.js';
import { any, flag, list, mapOf, object, oneOf, orNull, ref, text, whole } from './openapi-kit.js';
import { workloadBody } from './workloads.js';

const schemaOf = (schema: z.ZodType): Readonly<Record<string, unknown>> => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' });
  return rest;
};
const time = { type: 'string', format: 'date-time' };
const number = { type: 'number' };
const pairs = list(list(text));
const origin = { file: text, line: whole, column: whole };

const name = { kind: text, namespace: text, name: text };
const change = { op: oneOf('created', 'configured', 'deleted'), ...name };
const removal = object({
  sort: oneOf('services', 'endpoints', 'documents'),
  removed: whole,
  total: whole,
});
const violation = {
  code: text,
  severity: oneOf('error', 'warning'),
  message: text,
  ...origin,
  path: text,
};
const error = object({ code: text, message: text });
const entry = {
  revision: whole,
  at: time,
  source: text,
  author: text,
  message: text,
  changeCount: whole,
};
const ENTRY_NEEDS = ['revision', 'at', 'source', 'changeCount'];
const head = { method: text, scheme: text, authority: text, path: text, headers: pairs };

const load = {
  clients: whole,
  load: list(any),
  drops: list(any),
  overflow: whole,
};

const authorityCertificate = {
  fingerprint: text,
  subject: text,
  serial: text,
  key: text,
  notBefore: text,
  notAfter: text,
  secondsLeft: number,
  used: number,
};
const clientCount = any;

const CONFIG_SCHEMAS = {
  Object: object({ apiVersion: text, kind: text, metadata: any, spec: any, status: any }, [
    'apiVersion',
    'kind',
    'metadata',
  ]),
  Applied: object(
    {
      revision: whole,
      changes: list(
        object(
          {
            ...name,
            result: oneOf('created', 'configured', 'unchanged', 'deleted'),
            resourceVersion: text,
          },
          ['kind', 'namespace', 'name', 'result'],
        ),
      ),
      warnings: list(ref('Violation')),
      left: { ...list(text), description: 'Of a rollback: objects that stand in files, with where.' },
    },
    ['revision', 'changes', 'warnings'],
  ),
  Violation: object({ ...violation, atKey: flag, suggestion: text, resource: text }, Object.keys(violation)),
  Finding: object(
    {
      code: text,
      level: oneOf('Error', 'Warning', 'Info'),
      name: text,
      origin: text,
      message: text,
      suggestion: text,
      ...origin,
      path: text,
      analyzer: text,
    },
    ['code', 'level', 'name', 'origin', 'message', 'file', 'line', 'column', 'path', 'analyzer'],
  ),
  Error: object({ error, removals: list(removal) }, ['error']),
  Invalid: object({ error, violations: list(ref('Violation')) }),
  HistoryEntry: object({ ...entry, changes: list(object(change)) }, ENTRY_NEEDS),
  FullHistoryEntry: object({ ...entry, changes: list(ref('ShownChange')) }, ENTRY_NEEDS),
  ShownChange: object({ ...change, before: any, after: any }, Object.keys(change)),
  Held: object({ source: text, removals: list(removal), at: time }),
  Batch: schemaOf(BODIES.batch),
  DryRun: schemaOf(BODIES.preview),
  Rollback: schemaOf(BODIES.rollback),
  Preview: object(
    {
      revision: whole,
      changes: list(any),
      warnings: list(ref('Violation')),
      profiles: list(
        object({
          profile: oneOf('sdk', 'grpc', 'envoy'),
          types: list(object({ type: text, added: list(text), changed: list(text), removed: list(text) })),
        }),
      ),
      requests: list(object({ method: text, url: text, from: text, count: whole, before: any, after: any })),
    },
    ['profiles', 'requests'],
  ),
};

const DOCUMENT_SCHEMAS = {
  Analyze: schemaOf(DOCUMENT_BODIES.analysis),
  Validate: schemaOf(DOCUMENT_BODIES.validation),
  Compile: schemaOf(DOCUMENT_BODIES.compilation),
  Explain: schemaOf(DOCUMENT_BODIES.explanation),
  CheckAuthorization: schemaOf(DOCUMENT_BODIES.authorization),
  CompileAuthorization: schemaOf(DOCUMENT_BODIES.filters),
  Convert: schemaOf(DOCUMENT_BODIES.conversion),
  Converted: object({ documents: list(any), losses: list(text), warnings: list(ref('Violation')) }),
  MigrateRbac: schemaOf(DOCUMENT_BODIES.migration),
  MigratedRbac: object({ documents: list(any), losses: list(text) }),
  Validated: object({ valid: flag, documents: whole, violations: list(ref('Violation')) }),
  Compiled: object({
    listeners: list(any),
    routes: list(any),
    clusters: list(any),
    endpoints: list(any),
    losses: list(text),
    warnings: list(ref('Violation')),
  }),
  CompiledAuthorization: object({
    http: list(any),
    tcp: list(any),
    problems: list(text),
    warnings: list(ref('Violation')),
  }),
  CheckedAuthorization: object(
    {
      policies: list(any),
      problems: list(text),
      decision: object({ verdict: oneOf('allowed', 'denied', 'asked'), steps: list(any), reason: text }, [
        'verdict',
        'steps',
      ]),
      warnings: list(ref('Violation')),
    },
    ['policies', 'problems', 'warnings'],
  ),
  Explanation: object(
    {
      request: object(head),
      from: object({ namespace: text, labels: mapOf(text) }),
      outcome: oneOf('forwarded', 'redirect', 'direct-response', 'passed-through', 'refused'),
      reason: text,
      listener: orNull(text),
      routeConfiguration: orNull(text),
      virtualHost: orNull(text),
      route: orNull(object({ name: text, index: whole, match: any })),
      cluster: orNull(text),
      clusters: list(object({ name: text, weight: whole, share: number })),
      rewritten: orNull(object({ ...head, changes: list(text) })),
      responseHeaders: object({ set: pairs, add: pairs, remove: list(text) }),
      response: orNull(object({ status: whole, location: text, body: text }, ['status'])),
      timeouts: orNull(any),
      retries: orNull(any),
      mirrors: list(object({ cluster: text, percent: number })),
      filters: list(object({ name: text, config: {} })),
      policy: orNull(any),
      endpoints: list(any),
      documents: list(object({ ...name, ...origin })),
      warnings: list(ref('Violation')),
    },
    ['request', 'from', 'outcome', 'reason', 'cluster', 'endpoints', 'documents'],
  ),
};

const STATE_SCHEMAS = {
  Status: object(
    {
      version: text,
      trustDomain: text,
      addresses: mapOf(text),
      revision: whole,
      store: object({ writes: flag, holder: text, since: time }, ['writes', 'since']),
      rejected: object({ at: time, violations: list(ref('Violation')) }),
      held: ref('Held'),
      warnings: list(ref('Violation')),
      clients: list(ref('Client')),
      workloads: whole,
      registrationsHeld: whole,
      load: object(load),
    },
    ['version', 'trustDomain', 'addresses', 'revision', 'store', 'warnings', 'clients', 'workloads', 'load'],
  ),
  Client: object(
    {
      id: text,
      service: text,
      namespace: text,
      version: text,
      peer: text,
      spiffeId: text,
      connectedAtMs: number,
      applied: whole,
      state: oneOf('SYNCED', 'STALE', 'NACKED', 'NOT SENT'),
      types: list(any),
    },
    ['id', 'service', 'namespace', 'version', 'peer', 'connectedAtMs', 'applied', 'state', 'types'],
  ),
  Sync: object({
    id: text,
    revision: whole,
    applied: whole,
    isSynced: flag,
    same: whole,
    differences: list(
      object(
        {
          type: text,
          name: text,
          change: oneOf('missing', 'changed', 'extra'),
          reason: oneOf('refused', 'unanswered', 'not sent'),
          error: text,
          held: any,
          wanted: any,
        },
        ['type', 'name', 'change', 'reason'],
      ),
    ),
  }),
  Service: object({
    name: text,
    namespace: text,
    host: text,
    source: oneOf('Service', 'ServiceEntry', 'registered'),
    ports: list(object({ number: whole, name: text, protocol: text })),
    endpoints: list(
      object({
        address: text,
        servicePort: whole,
        port: whole,
        version: text,
        labels: mapOf(text),
        locality: text,
        weight: whole,
        serviceAccount: text,
        speaksMtls: flag,
        mtls: oneOf('STRICT', 'PERMISSIVE', 'DISABLE'),
        subsets: list(text),
      }),
    ),
    subsets: list(object({ name: text, labels: mapOf(text), endpoints: whole })),
    routes: list(text),
    leadTo: list(text),
    destinationRules: list(text),
    policies: list(text),
    warnings: list(text),
  }),
  Applying: object({ revision: whole, isApplied: flag, missing: list(ref('Client')) }),
  Config: object({
    revision: whole,
    documents: list(
      object({
        apiVersion: text,
        kind: text,
        metadata: object({ name: text, namespace: text, labels: mapOf(text) }),
        spec: any,
        origin: object(origin),
      }),
    ),
  }),
  ClientConfig: object({
    id: text,
    node: any,
    resources: list(
      object(
        {
          type: text,
          name: text,
          state: oneOf('accepted', 'unanswered', 'refused', 'absent'),
          error: text,
          version: text,
          resource: any,
        },
        ['type', 'name', 'state'],
      ),
    ),
  }),
  Mtls: object({
    revision: whole,
    workloads: list(any),
    plaintextRules: list(any),
    withoutIdentity: list(text),
    obstacles: whole,
  }),
  Load: object({ ...load, byClient: list(any) }),
  Workloads: object({ revision: whole, workloads: list(any) }),
  Workload: schemaOf(workloadBody),
  JoinToken: schemaOf(joinTokenBody),
  ListedJoinToken: object({ hash: text, id: text, createdAt: time, expiresAt: time }),
  Authority: object(
    {
      trustDomain: text,
      sequence: whole,
      issuing: object(authorityCertificate),
      roots: list(any),
      distrusted: list(text),
      revocations: whole,
      federated: list(text),
      counts: object({ issued: whole, refused: whole, failed: whole }),
      clients: object({ trusting: clientCount, renewed: clientCount }),
    },
    ['trustDomain', 'sequence', 'roots', 'distrusted', 'revocations', 'federated', 'counts', 'clients'],
  ),
};

/** What bodies and answers of the HTTP API look like. */
export const SCHEMAS: Readonly<Record<string, object>> = {
  ...CONFIG_SCHEMAS,
  ...DOCUMENT_SCHEMAS,
  ...STATE_SCHEMAS,
};
