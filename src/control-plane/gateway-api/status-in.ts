import type { ConfigView, Document, KindName } from '../kinds/view.js';
import { listServices } from '../mesh/services.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import { KINDS_WITH_FINDINGS } from './findings.js';
import { type GatewayApiStatus, statusOf } from './status.js';

const KINDS: readonly KindName[] = ['GatewayClass', ...KINDS_WITH_FINDINGS];

type Statuses = ReadonlyMap<Document, GatewayApiStatus['status']>;

const NONE: Statuses = new Map();
/** Of the configuration and registry that it was asked for last. */
const known = new WeakMap<ConfigView, { readonly services: object; readonly statuses: Statuses }>();

/** The status of each object of the Gateway API in force, with services that only workloads tell of. */
export function statusIn(view: ConfigView, registry: RegistrySnapshot): Statuses {
  const documents = KINDS.flatMap((kind) => [...view.list(kind)]);
  if (documents.length === 0) return NONE;
  const services = listServices(view, registry);
  const before = known.get(view);
  if (before?.services === services) return before.statuses;
  const keyOf = (one: Pick<GatewayApiStatus, 'apiVersion' | 'kind' | 'namespace' | 'name'>) =>
    [one.apiVersion, one.kind.split('.', 1)[0], one.namespace, one.name].join(' ');
  const byHost = new Map(services.map((service) => [service.host, service]));
  const byKey = new Map(statusOf(view, byHost).map((one) => [keyOf(one), one.status]));
  const statuses = new Map(
    documents.flatMap((document) => {
      const status = byKey.get(keyOf(document));
      return status === undefined ? [] : [[document, status] as const];
    }),
  );
  known.set(view, { services, statuses });
  return statuses;
}
