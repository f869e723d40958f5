import { type PolicyTargets, targetKind, targetsOf } from '../kinds/policy-target.js';
import type { ConfigView } from '../kinds/view.js';
import { selects } from '../mesh/visibility.js';

/** What security policies are attached to: a workload, or a gateway. */
export interface PolicySubject {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The service that it says it serves; undefined = only selectors of services tell. */
  readonly service?: string | undefined;
  /** The Gateways that it carries out, `namespace/name`; undefined = it is no gateway. */
  readonly gateways?: readonly string[] | undefined;
}

/** The labels of a workload that serves a service: its name is the label `app`, unless they say otherwise. */
export function servingLabels(
  service: string | undefined,
  labels: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> {
  return { ...(service !== undefined && { app: service }), ...labels };
}

/** Istio: a gateway of the Gateway API carries its name so. */
const GATEWAY_NAME = 'gateway.networking.k8s.io/gateway-name';
/** Istio: the class of waypoints. */
const WAYPOINT = 'istio-waypoint';

interface Policy {
  readonly namespace: string;
  readonly spec: PolicyTargets;
}

/** What the references of policies are looked up in. */
export interface PolicyLookup {
  readonly view: ConfigView;
  readonly rootNamespace: string;
}

/**
 * The policies for a subject: those of the root namespace first, then those of its own (Istio: getConfigsForWorkload). A
 * selector selects in either; what names a resource is for those who are or serve it. Where Istio has a waypoint in front
 * of a service, or of all of them, here every workload is its own.
 */
export function policiesFor<P extends Policy>(
  policies: readonly P[],
  subject: PolicySubject,
  lookup: PolicyLookup,
): readonly P[] {
  const { rootNamespace } = lookup;
  const own = policies.filter((one) => isFor(one, subject, lookup));
  if (subject.namespace === rootNamespace) return own;
  return [
    ...own.filter(({ namespace }) => namespace === rootNamespace),
    ...own.filter(({ namespace }) => namespace !== rootNamespace),
  ];
}

function isFor({ namespace, spec }: Policy, subject: PolicySubject, lookup: PolicyLookup): boolean {
  const { view, rootNamespace } = lookup;
  const targets = targetsOf(spec);
  if (targets.length === 0) {
    const isNear = namespace === subject.namespace || namespace === rootNamespace;
    return isNear && selects(spec.selector?.matchLabels, subject.labels);
  }
  return targets.some((target) => {
    const { name } = target;
    const kind = targetKind(target);
    // A Gateway of Istio may be in another namespace than its workload.
    if (kind === 'networking.istio.io/Gateway')
      return subject.gateways?.includes(`${namespace}/${name}`) ?? false;
    if (kind === 'gateway.networking.k8s.io/GatewayClass') {
      return subject.gateways === undefined && namespace === rootNamespace && name === WAYPOINT;
    }
    if (namespace !== subject.namespace) return false;
    if (kind === 'gateway.networking.k8s.io/Gateway') return subject.labels[GATEWAY_NAME] === name;
    if (subject.gateways !== undefined) return false;
    return kind === '/Service' ? servesService(subject, name, view) : servesEntry(subject, name, view);
  });
}

function servesService(
  { namespace, labels, service }: PolicySubject,
  name: string,
  view: ConfigView,
): boolean {
  if (service === name) return true;
  const selector = view.get('Service', namespace, name)?.spec.selector;
  return selector !== undefined && Object.keys(selector).length > 0 && selects(selector, labels);
}

function servesEntry({ namespace, labels }: PolicySubject, name: string, view: ConfigView): boolean {
  const selector = view.get('ServiceEntry', namespace, name)?.spec.workloadSelector?.labels;
  return selector !== undefined && selects(selector, labels);
}
