import { KIND_NAMES } from '../kinds/kinds.js';
import { type RegistrySnapshot, workloadsIn } from '../registry/snapshot.js';
import type { ConfigStore } from '../store/config-store.js';
import { readAuthority } from './authority.js';
import { describeViolation } from './describe-violation.js';
import { type Answer, problem } from './http.js';
import { renderMetrics } from './metrics.js';
import type { AdminOptions } from './options.js';
import type { AdminStatus } from './status.js';

/** Paths of what can be read without saying more. */
export const READABLE = [
  '/healthz/live',
  '/healthz/ready',
  '/ready',
  '/version',
  '/metrics',
  '/debug/syncz',
  '/api/status',
  '/api/config',
  '/api/workloads',
  '/api/load',
  '/api/ca',
  '/ca/roots.pem',
  '/ca/crl.pem',
] as const;

/** What can be read. */
export function read(path: string, options: AdminOptions): Answer {
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
      return { status: 200, body: describeRegistry(options.registry.current.value) };
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
    default: {
      const { ca } = options.status();
      const found = ca && readAuthority(path, ca);
      return found ?? problem(404, 'INMESH_NOT_FOUND', `there is nothing at ${path}`);
    }
  }
}

function describeStatus(status: AdminStatus): object {
  const { store, rejected, warnings, held, ca: _, ...rest } = status;
  return {
    ...rest,
    store: { ...store, since: new Date(store.since).toISOString() },
    rejected: rejected && {
      at: new Date(rejected.at).toISOString(),
      violations: rejected.violations.map(describeViolation),
    },
    held: held && { ...held, at: new Date(held.at).toISOString() },
    warnings: warnings.map(describeViolation),
  };
}

function describeConfig(store: ConfigStore): object {
  const view = store.current.value;
  const documents = KIND_NAMES.flatMap((kind) =>
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

function describeRegistry(registry: RegistrySnapshot) {
  const workloads = [...workloadsIn(registry)].sort((a, b) => (a.owner < b.owner ? -1 : 1));
  return { revision: registry.revision, workloads };
}
