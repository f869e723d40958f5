import { create, toBinary } from '@bufbuild/protobuf';
import { readMessage } from '../proto/read-message.js';
import { wkt } from '../proto/xds.js';
import type { WorkloadInfo } from '../service/workload.js';

/** Istio's metadata exchange over HTTP: who the caller, or the answering workload, is. */
export const PEER_METADATA = 'x-envoy-peer-metadata';
/** Istio: the node ID that goes with the metadata. */
export const PEER_METADATA_ID = 'x-envoy-peer-metadata-id';

/** A header's text of more than this is no metadata. */
const MAX_LENGTH = 8 * 1024;
/** Peers that are remembered; when there are more, all are read again. */
const MAX_KNOWN = 1_000;

/** The header value that tells others who this workload is: a Struct in base64, as Istio's proxies send it. */
export function encodePeerMetadata(own: WorkloadInfo): string {
  const labels: Tree = {
    app: own.app,
    'service.istio.io/canonical-name': own.canonicalService,
    ...(own.canonicalRevision !== '' && { 'service.istio.io/canonical-revision': own.canonicalRevision }),
    ...(own.version !== '' && { version: own.version }),
  };
  const struct: Tree = {
    ...(own.cluster !== '' && { CLUSTER_ID: own.cluster }),
    LABELS: labels,
    NAME: own.workload,
    NAMESPACE: own.namespace,
    WORKLOAD_NAME: own.workload,
  };
  const bytes = toBinary(wkt.StructSchema, create(wkt.StructSchema, structOf(struct)));
  return Buffer.from(bytes).toString('base64');
}

/** Reads peers' metadata. Equal texts give the same object, so that it serves as a key. */
export function peerMetadataReader(): (text: string) => WorkloadInfo | undefined {
  const known = new Map<string, WorkloadInfo | undefined>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined || known.has(text)) return found;
    if (text.length > MAX_LENGTH) return undefined;
    if (known.size >= MAX_KNOWN) known.clear();
    const peer = decode(text);
    known.set(text, peer);
    return peer;
  };
}

function decode(text: string): WorkloadInfo | undefined {
  let fields: wkt.Struct['fields'];
  try {
    ({ fields } = readMessage(wkt.StructSchema, Buffer.from(text, 'base64')));
  } catch {
    // What a stranger sent is no reason to fail a request.
    return undefined;
  }
  const labels = fields['LABELS']?.kind;
  const label = (name: string) => (labels?.case === 'structValue' ? textOf(labels.value.fields[name]) : '');
  const workload = textOf(fields['WORKLOAD_NAME']);
  return {
    workload,
    namespace: textOf(fields['NAMESPACE']),
    canonicalService: label('service.istio.io/canonical-name') || label('app') || workload,
    canonicalRevision: label('service.istio.io/canonical-revision') || label('version') || 'latest',
    app: label('app'),
    version: label('version'),
    cluster: textOf(fields['CLUSTER_ID']),
  };
}

function textOf(value: wkt.Value | undefined): string {
  return value?.kind.case === 'stringValue' ? value.kind.value : '';
}

interface Tree {
  readonly [name: string]: string | Tree;
}

function structOf(tree: Tree): { fields: Record<string, wkt.Value> } {
  const fields = Object.entries(tree).map(([name, value]): [string, wkt.Value] => [
    name,
    create(wkt.ValueSchema, {
      kind:
        typeof value === 'string'
          ? { case: 'stringValue', value }
          : { case: 'structValue', value: create(wkt.StructSchema, structOf(value)) },
    }),
  ]);
  return { fields: Object.fromEntries(fields) };
}
