import type { ClusterRuntime } from '../cluster/cluster.js';
import type { Host } from '../cluster/host.js';
import type { MetadataStruct, MetadataValue } from '../model/metadata.js';
import { HeaderMap } from '../service/headers.js';
import type { Request, Response } from '../service/service.js';
import type { ServiceInfo, WorkloadInfo } from '../service/workload.js';
import {
  encodePeerMetadata,
  PEER_METADATA,
  PEER_METADATA_ID,
  peerMetadataReader,
} from '../telemetry/peer-metadata.js';

/** Tells upstreams who calls, and finds out who answers (Istio's metadata exchange). */
export interface PeerExchange {
  /** Prepares an attempt at a host of the cluster. */
  introduce(request: Request, cluster: ClusterRuntime, host: Host): void;
  /** Reads who answered, when the endpoint did not say. */
  meet(request: Request, response: Response): void;
  /** Reads what a peer says of itself. */
  read(text: string): WorkloadInfo | undefined;
  /** What we say of us. */
  readonly metadata: string;
  readonly nodeId: string;
}

/**
 * Istio's rule: the caller's metadata goes to every service that is not external to the mesh. An answer with metadata is
 * asked for only where the endpoint's own metadata does not name its workload.
 */
export function createPeerExchange(own: WorkloadInfo, nodeId: string): PeerExchange {
  const metadata = encodePeerMetadata(own);
  // Checked here once, as requests don't: an id comes from whoever deploys.
  HeaderMap.empty().append(PEER_METADATA_ID, nodeId);
  const read = peerMetadataReader();
  const workloadOf = workloadReader();
  const services = new WeakMap<ClusterRuntime, ClusterFacts>();
  const factsOf = (cluster: ClusterRuntime) => {
    let facts = services.get(cluster);
    if (facts === undefined) {
      facts = clusterFacts(cluster);
      services.set(cluster, facts);
    }
    return facts;
  };
  return {
    introduce(request, cluster, host) {
      const { context, headers } = request;
      const { isExternal, service } = factsOf(cluster);
      context.service = service;
      context.peer = workloadOf(host);
      if (isExternal || headers.has(PEER_METADATA)) return;
      headers.appendKnown(PEER_METADATA, metadata);
      if (context.peer === undefined) headers.appendKnown(PEER_METADATA_ID, nodeId);
    },
    meet({ context }, { headers }) {
      if (context.peer !== undefined || context.service === undefined) return;
      const text = headers.take(PEER_METADATA);
      if (text === undefined) return;
      headers.take(PEER_METADATA_ID);
      context.peer = read(text);
    },
    read,
    metadata,
    nodeId,
  };
}

interface ClusterFacts {
  readonly service: ServiceInfo | undefined;
  readonly isExternal: boolean;
}

function clusterFacts({ config }: ClusterRuntime): ClusterFacts {
  const istio = config.metadata['istio'];
  const services = istio?.['services'];
  const first = Array.isArray(services) ? (services as readonly MetadataValue[])[0] : undefined;
  // Without a word of the control plane about the service it is no part of a mesh that exchanges metadata.
  const isExternal = istio === undefined || istio['external'] === true;
  return { isExternal, service: isStruct(first) ? serviceInfo(first) : undefined };
}

function isStruct(value: MetadataValue | undefined): value is MetadataStruct {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function serviceInfo(struct: MetadataStruct): ServiceInfo {
  const text = (name: string) => {
    const value = struct[name];
    return typeof value === 'string' ? value : '';
  };
  return { host: text('host'), name: text('name'), namespace: text('namespace') };
}

/** Names of workloads that are remembered; when there are more, all are read again. */
const MAX_KNOWN = 10_000;

/** Reads the workload of an endpoint. Equal names give the same object, so that it serves as a key. */
function workloadReader(): (host: Host) => WorkloadInfo | undefined {
  // Metadata objects are shared by the endpoints of a workload, so each is read once.
  const byMetadata = new WeakMap<object, { readonly workload: WorkloadInfo | undefined }>();
  const byName = new Map<string, WorkloadInfo>();
  const named = (text: string) => {
    const found = byName.get(text);
    if (found !== undefined) return found;
    if (byName.size >= MAX_KNOWN) byName.clear();
    const info = parseWorkload(text);
    byName.set(text, info);
    return info;
  };
  return ({ endpoint: { metadata } }) => {
    let known = byMetadata.get(metadata);
    if (known === undefined) {
      const text = metadata['istio']?.['workload'];
      known = { workload: typeof text === 'string' ? named(text) : undefined };
      byMetadata.set(metadata, known);
    }
    return known.workload;
  };
}

/** Istio writes an endpoint's workload into its metadata as `name;namespace;canonical;revision;cluster`. */
function parseWorkload(text: string): WorkloadInfo {
  const [workload = '', namespace = '', canonicalService = '', canonicalRevision = '', cluster = ''] =
    text.split(';');
  return {
    workload,
    namespace,
    canonicalService,
    canonicalRevision,
    // Istio: what the short form leaves out follows from the canonical names.
    app: canonicalService,
    version: canonicalRevision,
    cluster,
  };
}
