import type { Locality } from '../model/endpoint.js';
import { localityOfLabels, parseLocality } from '../model/locality.js';
import { MeshError } from '../runtime/errors.js';
import type { Bootstrap } from './bootstrap/bootstrap.js';
import type { Surroundings } from './surroundings.js';

/** What the application says about itself. */
interface Given {
  readonly service?: string;
  readonly version?: string;
  readonly namespace?: string;
  readonly serviceAccount?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly locality?: string;
  readonly clusterId?: string;
  readonly address?: string;
}

/** Who this process is, with every default filled in. */
export interface Self {
  readonly service: string;
  readonly version: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly locality: Locality;
  readonly clusterId: string;
  /** Address under which others reach this process. */
  readonly address: string;
  readonly nodeId: string;
  readonly nodeCluster: string;
  /** Metadata of other names that the bootstrap gives the node. */
  readonly nodeExtra: Readonly<Record<string, unknown>>;
  readonly clientFeatures: readonly string[];
}

/** Who this process is, by code, environment, bootstrap and package.json, in this order. */
export function resolveSelf(
  options: Given,
  { env, packageInfo, instance }: Surroundings,
  bootstrap: Bootstrap | undefined,
): Self {
  const given = describedBy(bootstrap);
  const service = label(
    'service',
    options.service ??
      env['INMESH_SERVICE'] ??
      env['OTEL_SERVICE_NAME'] ??
      given.service ??
      baseName(packageInfo.name) ??
      'unknown',
  );
  const namespace = label(
    'namespace',
    options.namespace ?? env['INMESH_NAMESPACE'] ?? env['POD_NAMESPACE'] ?? given.namespace ?? 'default',
  );
  const address =
    options.address ?? env['INMESH_ADDRESS'] ?? env['INSTANCE_IP'] ?? given.address ?? '127.0.0.1';
  const labels = { ...given.labels, ...parseLabels(env['INMESH_LABELS']), ...options.labels };
  return {
    service,
    version: options.version ?? env['INMESH_VERSION'] ?? given.version ?? packageInfo.version ?? '',
    namespace,
    serviceAccount: label(
      'serviceAccount',
      options.serviceAccount ?? env['INMESH_SERVICE_ACCOUNT'] ?? given.serviceAccount ?? 'default',
    ),
    labels,
    locality: localityOf(options.locality ?? env['INMESH_LOCALITY'], labels, bootstrap),
    clusterId:
      options.clusterId ??
      env['INMESH_CLUSTER_ID'] ??
      env['ISTIO_META_CLUSTER_ID'] ??
      given.clusterId ??
      'Kubernetes',
    address,
    nodeId:
      bootstrap?.node.id ??
      `sidecar~${address}~${service}-${instance}.${namespace}~${namespace}.svc.cluster.local`,
    nodeCluster: bootstrap?.node.cluster ?? `${service}.${namespace}`,
    nodeExtra: bootstrap?.node.metadata ?? {},
    clientFeatures: bootstrap?.node.clientFeatures ?? [],
  };
}

/** What the metadata of a bootstrap's node says under Istio's names. */
function describedBy(bootstrap: Bootstrap | undefined) {
  const metadata = bootstrap?.node.metadata ?? {};
  const text = (name: string) => {
    const value = Object.hasOwn(metadata, name) ? metadata[name] : undefined;
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const { LABELS } = metadata;
  const labels: Record<string, string> = {};
  if (typeof LABELS === 'object' && LABELS !== null) {
    for (const [name, value] of Object.entries(LABELS)) if (typeof value === 'string') labels[name] = value;
  }
  return {
    service: labels['service.istio.io/canonical-name'] ?? labels['app'],
    version: labels['service.istio.io/canonical-revision'] ?? labels['version'],
    labels,
    namespace: text('NAMESPACE'),
    serviceAccount: text('SERVICE_ACCOUNT'),
    clusterId: text('CLUSTER_ID'),
    address: text('INSTANCE_IPS')?.split(',')[0],
  };
}

/** A DNS label, as service names, namespaces and service accounts are in Kubernetes and in SPIFFE paths. */
function label(option: string, value: string): string {
  if (/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(value)) return value;
  throw new MeshError('INMESH_OPTION_INVALID', `${option} ${JSON.stringify(value)} is not a DNS name`, {
    hint: 'Use lower-case letters, digits, "-" and "."',
  });
}

function baseName(packageName: string | undefined): string | undefined {
  const name = packageName
    ?.replace(/^@[^/]*\//, '')
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-');
  return name === undefined || name === '' ? undefined : name.replace(/^[.-]+|[.-]+$/g, '') || undefined;
}

function parseLabels(text: string | undefined): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const pair of text?.split(',') ?? []) {
    const equals = pair.indexOf('=');
    if (equals > 0) labels[pair.slice(0, equals).trim()] = pair.slice(equals + 1).trim();
    else if (pair.trim() !== '') {
      throw new MeshError(
        'INMESH_OPTION_INVALID',
        `INMESH_LABELS has ${JSON.stringify(pair)}, which is not key=value`,
      );
    }
  }
  return labels;
}

/** Istio: who does not say where it is, is where its labels say. */
function localityOf(
  text: string | undefined,
  labels: Readonly<Record<string, string>>,
  bootstrap: Bootstrap | undefined,
): Locality {
  return text === undefined ? (bootstrap?.node.locality ?? localityOfLabels(labels)) : parseLocality(text);
}
