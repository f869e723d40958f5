import { isIP } from 'node:net';
import { NO_LOCALITY } from '../../model/endpoint.js';
import { isNowhere, localityOfLabels } from '../../model/locality.js';
import { isEqual } from '../../runtime/equal.js';
import { derived, lookup } from '../kinds/derived.js';
import type { ConfigView, Document } from '../kinds/view.js';
import type { MeshPort } from '../mesh/services.js';
import type { Instance } from './instance.js';

/** One address of a service as Kubernetes' own documents have it. */
interface Listed {
  readonly address: string;
  readonly zone: string;
  readonly pod: string;
  readonly ports: readonly ListedPort[];
}

interface ListedPort {
  readonly name?: string | undefined;
  /** Undefined = whatever the service says. */
  readonly port?: number | undefined;
  readonly protocol?: string | undefined;
}

/** Kubernetes: the label that says which service a slice belongs to. */
const SERVICE_NAME = 'kubernetes.io/service-name';

/** Where EndpointSlices and Endpoints say that a port of a service is served; what is not ready is left out. */
export function listedInstances(
  view: ConfigView,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  port: MeshPort,
): readonly Instance[] {
  const listed = listedFor(view, `${namespace}/${name}`);
  return listed.flatMap((one) => {
    const own = one.ports.find(
      ({ name: portName = '', protocol = 'TCP' }) => protocol === 'TCP' && portName === port.name,
    );
    if (own === undefined) return [];
    const target = typeof port.target === 'number' ? port.target : port.number;
    return [instanceOf(view, one, { namespace, service: name, port: own.port ?? target })];
  });
}

function instanceOf(
  view: ConfigView,
  { address, zone, pod: podName }: Listed,
  {
    namespace,
    service,
    port,
  }: { readonly namespace: string; readonly service: string; readonly port: number },
): Instance {
  const pod = view.get('Pod', namespace, podName);
  const labels = pod?.labels ?? {};
  const byLabels = localityOfLabels(labels);
  return {
    namespace,
    labels,
    address,
    port,
    locality: isNowhere(byLabels) ? { ...NO_LOCALITY, zone } : byLabels,
    weight: 1,
    serviceAccount: pod?.spec.serviceAccountName || 'default',
    tlsMode: labels['security.istio.io/tlsMode'] === 'istio' ? 'istio' : 'disabled',
    workload: service,
    clusterId: '',
  };
}

function list(view: ConfigView): ReadonlyMap<string, readonly Listed[]> {
  const byService = new Map<string, Listed[]>();
  const add = (key: string, found: readonly Listed[]) =>
    byService.set(key, [...(byService.get(key) ?? []), ...found]);
  for (const slice of view.list('EndpointSlice')) {
    const service = slice.labels[SERVICE_NAME];
    // Istio: names instead of addresses are not followed.
    if (service === undefined || slice.spec.addressType === 'FQDN') continue;
    add(`${slice.namespace}/${service}`, ofSlice(slice));
  }
  for (const endpoints of view.list('Endpoints')) {
    const key = `${endpoints.namespace}/${endpoints.name}`;
    // Kubernetes makes slices of Endpoints: where there are both, they say the same.
    if (!byService.has(key)) add(key, ofEndpoints(endpoints));
  }
  return byService;
}

function ofSlice({ spec }: Document<'EndpointSlice'>): readonly Listed[] {
  const { endpoints = [], ports = [] } = spec;
  return endpoints
    .filter(({ conditions }) => conditions?.ready !== false)
    .flatMap(({ addresses, zone = '', targetRef }) =>
      addresses
        .filter((address) => isIP(address) !== 0)
        .map((address) => ({ address, zone, pod: podOf(targetRef), ports })),
    );
}

function ofEndpoints({ spec }: Document<'Endpoints'>): readonly Listed[] {
  return (spec.subsets ?? []).flatMap(({ addresses = [], ports = [] }) =>
    addresses
      .filter(({ ip }) => isIP(ip) !== 0)
      .map(({ ip, targetRef }) => ({ address: ip, zone: '', pod: podOf(targetRef), ports })),
  );
}

type TargetRef = { readonly kind?: string | undefined; readonly name?: string | undefined } | undefined;

function podOf(targetRef: TargetRef): string {
  return targetRef?.kind === 'Pod' ? (targetRef.name ?? '') : '';
}

const NOTHING: readonly Listed[] = [];
const listedFor = lookup(
  derived(list),
  (byService, service: string) => byService.get(service) ?? NOTHING,
  isEqual,
);
