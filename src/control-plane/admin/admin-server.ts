import { createServer, type IncomingMessage } from 'node:http';
import type { Clock } from '../../runtime/clock.js';
import { messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { WorkloadRegistry } from '../registry/registry.js';
import { formatPath, type Violation } from '../schema/violation.js';
import type { AppliedReport } from '../serve/applied.js';
import { listen } from '../serve/grpc-server.js';
import type { ConfigStore } from '../store/config-store.js';
import type { KindName } from '../store/view.js';
import { type AdminRequest, type Answer, adminRequest, problem, refusal, write } from './http.js';
import { renderMetrics } from './metrics.js';
import type { AdminStatus } from './status.js';
import { registerWorkload, removeWorkload } from './workloads.js';

export interface AdminOptions {
  readonly host: string;
  readonly port: number;
  readonly status: () => AdminStatus;
  /** Waits until a revision has arrived everywhere; undefined = the one in force. */
  readonly waitApplied: (revision: number | undefined, timeoutMs: number) => Promise<AppliedReport>;
  /** What each client reports of its load. */
  readonly loadByClient: () => readonly object[];
  readonly store: ConfigStore;
  readonly registry: WorkloadRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The JSON status API. */
export interface AdminServer {
  /** `host:port`. */
  readonly address: string;
  close(): Promise<void>;
}

const KINDS: readonly KindName[] = [
  'VirtualService',
  'DestinationRule',
  'ServiceEntry',
  'WorkloadEntry',
  'PeerAuthentication',
  'Gateway',
  'Service',
  'Deployment',
  'Namespace',
  'ServiceAccount',
  'Secret',
];

const DEFAULT_WAIT_MS = 10_000;
const MAX_WAIT_MS = 300_000;

/** Serves the JSON status API: reading by GET, changes by POST and DELETE, to this machine only. */
export async function startAdminServer(options: AdminOptions): Promise<AdminServer> {
  const server = createServer((request, response) => {
    answer(request, options).then(
      (result) => write(response, result, request.method === 'HEAD'),
      (error: unknown) => {
        options.logger.error({ path: request.url, error: messageOf(error) }, 'the status API failed');
        write(response, problem(500, 'INMESH_INTERNAL', 'the request failed; see the log'), false);
      },
    );
  });
  // Slow clients are cut: this port has nothing that takes long.
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  const address = await listen(server, options.host, options.port, 'status');
  return {
    address,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(message: IncomingMessage, options: AdminOptions): Promise<Answer> {
  const refused = refusal(message);
  if (refused !== undefined) return refused;
  let request: AdminRequest;
  try {
    request = adminRequest(message);
  } catch {
    return problem(400, 'INMESH_ADMIN_REQUEST', 'the request target can not be read');
  }
  const { method, path } = request;
  if (method === 'GET' && path === '/api/applied') return applied(request, options);
  if (method === 'GET' || method === 'HEAD') return read(request, options);
  if (path === '/api/workloads' && method === 'POST') return registerWorkload(request, options.registry);
  const workload = /^\/api\/workloads\/([^/]+)$/.exec(path);
  if (workload !== null && method === 'DELETE')
    return removeWorkload(decode(workload[1] ?? ''), options.registry);
  const allow = path === '/api/workloads' ? 'GET, HEAD, POST' : 'GET, HEAD';
  return { ...problem(405, 'INMESH_ADMIN_METHOD', `${method} is not for ${path}`), headers: { allow } };
}

/** Answers when the revision has arrived everywhere, or it can not be waited for any longer. */
async function applied({ query }: AdminRequest, { waitApplied }: AdminOptions): Promise<Answer> {
  const revision = numberOf(query.get('revision'), 0, Number.MAX_SAFE_INTEGER);
  const timeoutMs = numberOf(query.get('timeoutMs'), 0, MAX_WAIT_MS);
  if (revision === 'invalid' || timeoutMs === 'invalid') {
    return problem(
      400,
      'INMESH_OPTION_INVALID',
      `revision and timeoutMs (at most ${MAX_WAIT_MS}) are whole numbers`,
    );
  }
  const report = await waitApplied(revision, timeoutMs ?? DEFAULT_WAIT_MS);
  return { status: report.isApplied ? 200 : 409, body: report };
}

function numberOf(text: string | null, min: number, max: number): number | 'invalid' | undefined {
  if (text === null) return undefined;
  const value = text === '' ? Number.NaN : Number(text);
  return Number.isInteger(value) && value >= min && value <= max ? value : 'invalid';
}

function read({ path }: AdminRequest, options: AdminOptions): Answer {
  switch (path) {
    case '/healthz/live':
    case '/healthz/ready':
    case '/ready':
      return { status: 200, text: 'ok\n' };
    case '/version':
      return { status: 200, body: { version: options.status().version } };
    case '/api/status':
      return { status: 200, body: describeStatus(options.status()) };
    case '/api/workloads':
      return { status: 200, body: options.registry.current.value };
    case '/api/config':
      return { status: 200, body: describeConfig(options.store) };
    case '/debug/syncz':
      return { status: 200, body: options.status().clients };
    case '/api/load': {
      const { load } = options.status();
      return { status: 200, body: { ...load, byClient: options.loadByClient() } };
    }
    case '/metrics':
      return { status: 200, text: renderMetrics(options.status()) };
    default:
      return problem(404, 'INMESH_NOT_FOUND', `there is nothing at ${path}`);
  }
}

function describeStatus(status: AdminStatus): object {
  const { rejected, warnings, ...rest } = status;
  return {
    ...rest,
    rejected: rejected && {
      at: new Date(rejected.at).toISOString(),
      violations: rejected.violations.map(describeViolation),
    },
    warnings: warnings.map(describeViolation),
  };
}

function describeViolation({
  code,
  severity,
  message,
  origin,
  path,
  suggestion,
  resource,
}: Violation): object {
  return { code, severity, message, ...origin, path: formatPath(path), suggestion, resource };
}

function describeConfig(store: ConfigStore): object {
  const view = store.current.value;
  const documents = KINDS.flatMap((kind) =>
    view.list(kind).map(({ apiVersion, name, namespace, labels, spec, origin }) => ({
      apiVersion,
      kind,
      metadata: { name, namespace, labels },
      spec,
      origin,
    })),
  );
  return { revision: view.revision, documents };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
