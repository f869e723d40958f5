import type { ConfigView } from '../kinds/view.js';
import { type RegistrySnapshot, registeredKey } from '../registry/snapshot.js';

/** Who sends the request. */
export interface CallerQuery {
  /** `namespace/name` of its service, Deployment or service account; a name alone is in `default`, `namespace/` is anybody there. */
  readonly from?: string | undefined;
  /** Replace those that are found by its name. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** A caller as policies and routes see it. */
export interface Caller {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
}

/** What is known of the caller: by a Deployment or a registered workload of that name, or the service's selector. */
export function findCaller(query: CallerQuery, view: ConfigView, registry: RegistrySnapshot): Caller {
  const text = query.from ?? 'default/';
  const slash = text.indexOf('/');
  const namespace = (slash < 0 ? 'default' : text.slice(0, slash)) || 'default';
  const name = slash < 0 ? text : text.slice(slash + 1);
  const found = name === '' ? undefined : knownAs(namespace, name, view, registry);
  return {
    namespace,
    name,
    labels: query.labels ?? found?.labels ?? {},
    serviceAccount: found?.serviceAccount ?? 'default',
  };
}

function knownAs(
  namespace: string,
  name: string,
  view: ConfigView,
  registry: RegistrySnapshot,
): Pick<Caller, 'labels' | 'serviceAccount'> | undefined {
  const registered = registry.services.get(registeredKey({ namespace, service: name }))?.workloads[0];
  if (registered !== undefined) return registered;
  const selector = view.get('Service', namespace, name)?.spec.selector;
  const deployments = view.list('Deployment').filter((one) => one.namespace === namespace);
  const template = (
    deployments.find((one) => one.name === name) ??
    deployments.find(
      ({ spec }) => selector !== undefined && isSelected(selector, spec.template.metadata?.labels),
    )
  )?.spec.template;
  if (template !== undefined) {
    return {
      labels: template.metadata?.labels ?? {},
      serviceAccount: template.spec?.serviceAccountName ?? 'default',
    };
  }
  if (selector !== undefined) return { labels: selector, serviceAccount: 'default' };
  const isAccount = view.get('ServiceAccount', namespace, name) !== undefined;
  return isAccount ? { labels: {}, serviceAccount: name } : undefined;
}

function isSelected(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>> = {},
): boolean {
  const entries = Object.entries(selector);
  return entries.length > 0 && entries.every(([key, value]) => labels[key] === value);
}
