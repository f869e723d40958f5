import { create, toBinary } from '@bufbuild/protobuf';
import type { ClusterDiscovery, DnsDiscovery } from '../model/cluster.js';
import type { ClusterLoadAssignment } from '../model/endpoint.js';
import { cluster, endpoint } from '../proto/xds.js';
import type { AddressForm } from './address.js';
import { type DnsFields, decodeDnsSettings, encodeDnsSettings } from './cluster-dns.js';
import {
  decodeClusterType,
  decodeOriginalDestination,
  encodeAggregate,
  encodeOriginalDestination,
  refuseDestinationFields,
} from './cluster-kinds.js';
import { adsSource, checkConfigSource } from './config-source.js';
import { decodeAssignment, encodeAssignment, parseAssignment } from './endpoint.js';
import { encodeForwardProxyCluster } from './forward-proxy.js';
import { at, type Path, refuse, required } from './path.js';

/** Where the cluster's endpoints come from. */
export function decodeDiscovery(message: cluster.Cluster, path: Path): ClusterDiscovery {
  const { clusterDiscoveryType: type } = message;
  const { STATIC, STRICT_DNS, LOGICAL_DNS, EDS, ORIGINAL_DST } = cluster.Cluster_DiscoveryType;
  if (type.value === ORIGINAL_DST) return decodeOriginalDestination(message, path);
  refuseDestinationFields(message, path);
  if (type.case === 'clusterType') {
    const found = decodeClusterType(type.value, at(path, 'cluster_type'));
    return 'cluster' in found ? decodeDns(message, found.cluster, path) : found;
  }
  switch (type.value ?? STATIC) {
    case EDS:
      return decodeEds(message, path);
    case STATIC:
      return { kind: 'static', assignment: decodeOwnAssignment(message, 'ip', path) };
    case STRICT_DNS:
      return decodeDns(message, { kind: 'strict-dns', ...decodeDnsSettings(message, path) }, path);
    case LOGICAL_DNS:
      return decodeDns(message, { kind: 'logical-dns', ...decodeDnsSettings(message, path) }, path);
    default:
      return refuse(
        at(path, 'type'),
        `${cluster.Cluster_DiscoveryType[type.value ?? STATIC] ?? type.value} is not supported`,
      );
  }
}

function decodeEds(message: cluster.Cluster, path: Path): ClusterDiscovery {
  const configPath = at(path, 'eds_cluster_config');
  const config = required(message.edsClusterConfig, configPath);
  checkConfigSource(config.edsConfig, at(configPath, 'eds_config'));
  if (message.loadAssignment !== undefined)
    refuse(at(path, 'load_assignment'), 'must not be set in an EDS cluster');
  // gRFC A47: the name of a cluster that says its type can't be that of its endpoints.
  if (config.serviceName === '' && message.name.startsWith('xdstp:'))
    refuse(at(configPath, 'service_name'), 'is required in a cluster with an xdstp name');
  return { kind: 'eds', serviceName: config.serviceName === '' ? message.name : config.serviceName };
}

function decodeDns(
  message: cluster.Cluster,
  settings: Omit<DnsDiscovery, 'assignment'>,
  path: Path,
): ClusterDiscovery {
  const assignment = decodeOwnAssignment(message, 'host', path);
  const endpointCount = assignment.localities.reduce((sum, { endpoints }) => sum + endpoints.length, 0);
  // Envoy: a logical DNS cluster has exactly one locality with exactly one endpoint.
  if (settings.kind === 'logical-dns' && (assignment.localities.length !== 1 || endpointCount !== 1)) {
    refuse(at(path, 'load_assignment'), 'must have one locality with one endpoint in a LOGICAL_DNS cluster');
  }
  return { ...settings, assignment };
}

function decodeOwnAssignment(message: cluster.Cluster, form: AddressForm, path: Path): ClusterLoadAssignment {
  if (message.edsClusterConfig !== undefined) {
    refuse(at(path, 'eds_cluster_config'), 'must be set in an EDS cluster only');
  }
  const assignmentPath = at(path, 'load_assignment');
  const assignment = required(message.loadAssignment, assignmentPath);
  // Envoy: for EDS; what a cluster itself says never gets old.
  if (assignment.policy?.endpointStaleAfter !== undefined) {
    refuse(at(at(assignmentPath, 'policy'), 'endpoint_stale_after'), 'is for EDS only');
  }
  // Through the bytes again, so that there is one decoder of endpoints; such clusters have few of them.
  const bytes = toBinary(endpoint.ClusterLoadAssignmentSchema, assignment);
  return decodeAssignment(parseAssignment(bytes, assignmentPath), form, assignmentPath);
}

/** Fields of a cluster. */
type DiscoveryFields = Pick<cluster.Cluster, 'clusterDiscoveryType'> &
  Partial<
    Pick<cluster.Cluster, 'edsClusterConfig' | 'loadAssignment' | 'lbConfig' | 'cleanupInterval'> & DnsFields
  >;

/** The cluster's fields that say where its endpoints come from. */
export function encodeDiscovery(discovery: ClusterDiscovery): DiscoveryFields {
  if (discovery.kind === 'aggregate') {
    const value = encodeAggregate(discovery.clusters);
    return { clusterDiscoveryType: { case: 'clusterType', value } };
  }
  if (discovery.kind === 'forward-proxy') {
    const value = encodeForwardProxyCluster(discovery);
    return { clusterDiscoveryType: { case: 'clusterType', value } };
  }
  const clusterDiscoveryType = { case: 'type' as const, value: discoveryType(discovery.kind) };
  if (discovery.kind === 'eds') {
    const { serviceName } = discovery;
    const edsClusterConfig = create(cluster.Cluster_EdsClusterConfigSchema, {
      serviceName,
      edsConfig: adsSource(),
    });
    return { clusterDiscoveryType, edsClusterConfig };
  }
  if (discovery.kind === 'original-dst') {
    return { clusterDiscoveryType, ...encodeOriginalDestination(discovery) };
  }
  const loadAssignment = encodeAssignment(discovery.assignment);
  return discovery.kind === 'static'
    ? { clusterDiscoveryType, loadAssignment }
    : { clusterDiscoveryType, loadAssignment, ...encodeDnsSettings(discovery) };
}

function discoveryType(
  kind: Exclude<ClusterDiscovery['kind'], 'aggregate' | 'forward-proxy'>,
): cluster.Cluster_DiscoveryType {
  const { STATIC, STRICT_DNS, LOGICAL_DNS, EDS, ORIGINAL_DST } = cluster.Cluster_DiscoveryType;
  const types = {
    'original-dst': ORIGINAL_DST,
    eds: EDS,
    static: STATIC,
    'strict-dns': STRICT_DNS,
    'logical-dns': LOGICAL_DNS,
  };
  return types[kind];
}
