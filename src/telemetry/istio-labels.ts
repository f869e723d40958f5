import type { Exchange } from '../service/context.js';
import type { Request } from '../service/service.js';
import type { ServiceInfo, WorkloadInfo } from '../service/workload.js';
import { quoteLabel } from './prometheus.js';

/** Who reports: the workload that this process is. */
export interface MetricsSource {
  readonly workload: WorkloadInfo;
  /** SPIFFE ID of this process, once it has one. */
  readonly principal: () => string | undefined;
}

/** How the exchange ended. */
export interface Outcome {
  /** 0 when the caller got an error instead of a response. */
  readonly status: number;
  /** Undefined unless the call was gRPC; empty when a gRPC call ended without one. */
  readonly grpcStatus: string | undefined;
}

const UNKNOWN: WorkloadInfo = {
  workload: '',
  namespace: '',
  canonicalService: '',
  canonicalRevision: '',
  app: '',
  version: '',
  cluster: '',
};

type Labels = readonly (readonly [string, string])[];

/** Istio's labels of one request, in Istio's order. What is not known is `unknown`. */
export function labelsOf(
  source: MetricsSource,
  { context, authority }: Request,
  { status, grpcStatus }: Outcome,
): Labels {
  return [
    ...endLabels(source, context, authority),
    ['request_protocol', grpcStatus === undefined ? 'http' : 'grpc'],
    ['response_code', String(status)],
    ['grpc_response_status', grpcStatus ?? ''],
    ...howLabels(context),
  ];
}

/** The same of a TCP connection, which has no status. */
export function connectionLabelsOf(source: MetricsSource, context: Exchange): Labels {
  return [
    ...endLabels(source, context, context.destination ?? ''),
    ['request_protocol', 'tcp'],
    ...howLabels(context),
  ];
}

/** Who reports, and who is at both ends. */
function endLabels(
  { workload: own, principal }: MetricsSource,
  context: Exchange,
  authority: string,
): Labels {
  const isOutbound = context.direction === 'outbound';
  const [source, destination] = isOutbound ? [own, context.peer ?? UNKNOWN] : [context.peer ?? UNKNOWN, own];
  const [sourceId, destinationId] = isOutbound
    ? [principal(), context.peerId]
    : [context.peerId, principal()];
  const service = isOutbound ? destinationService(context, authority) : ownService(own);
  return [
    ['reporter', isOutbound ? 'source' : 'destination'],
    ...workloadLabels('source', source, sourceId),
    ...workloadLabels('destination', destination, destinationId),
    ['destination_service', service.host],
    ['destination_service_name', service.name],
    ['destination_service_namespace', service.namespace],
  ];
}

function howLabels({ direction, flags, peerId }: Exchange): Labels {
  return [
    ['response_flags', flags.length === 0 ? '-' : flags.join(',')],
    // Istio: only the destination knows how the connection was secured.
    [
      'connection_security_policy',
      direction === 'outbound' ? 'unknown' : peerId === undefined ? 'none' : 'mutual_tls',
    ],
  ];
}

/** Labels as Prometheus' text format writes them, without braces. Istio leaves nothing empty but the gRPC status. */
export function renderLabels(labels: readonly (readonly [string, string])[]): string {
  return labels
    .map(([name, value]) => {
      const shown = value === '' && name !== 'grpc_response_status' ? 'unknown' : value;
      return `${name}=${quoteLabel(shown)}`;
    })
    .join(',');
}

function workloadLabels(
  side: 'source' | 'destination',
  one: WorkloadInfo,
  principal: string | undefined,
): readonly (readonly [string, string])[] {
  return [
    [`${side}_workload`, one.workload],
    [`${side}_canonical_service`, one.canonicalService],
    [`${side}_canonical_revision`, one.canonicalRevision],
    [`${side}_workload_namespace`, one.namespace],
    [`${side}_principal`, principal ?? ''],
    [`${side}_app`, one.app],
    [`${side}_version`, one.version],
    [`${side}_cluster`, one.cluster],
  ];
}

/** The service that was called: as the control plane names it, else by Istio's cluster names, else as it was asked for. */
function destinationService(context: Exchange, authority: string): ServiceInfo {
  if (context.service !== undefined) return context.service;
  const host = context.clusterName?.split('|')[3] ?? authority;
  const [name = host, namespace = ''] = host.endsWith('.svc.cluster.local') ? host.split('.') : [host];
  return { host, name, namespace };
}

function ownService({ canonicalService, namespace }: WorkloadInfo): ServiceInfo {
  return {
    host: `${canonicalService}.${namespace}.svc.cluster.local`,
    name: canonicalService,
    namespace,
  };
}
