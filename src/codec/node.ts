import { create, type JsonObject, type JsonValue } from '@bufbuild/protobuf';
import { type Locality, NO_LOCALITY } from '../model/endpoint.js';
import type { Node, NodeMetadata, NodeWorkload } from '../model/node.js';
import { core } from '../proto/xds.js';
import { at, type Path, refuse, rootPath } from './path.js';
import { decodePlaintextCallers, encodePlaintextCallers } from './plaintext-callers.js';

/** What servers may rely on: resources come in a wrapper that may have a time to live. */
const CLIENT_FEATURES = ['xds.config.supports-resource-ttl', 'xds.config.resource-in-sotw'] as const;
const OWN_NAME = 'inmesh';

/** The node as it is sent with the first request of each stream. */
export function encodeNode(node: Node): core.Node {
  const { metadata } = node;
  const json: JsonObject = {
    // Made by JSON.parse: what it holds is JSON.
    ...(node.extra as JsonObject | undefined),
    NAMESPACE: metadata.NAMESPACE,
    SERVICE_ACCOUNT: metadata.SERVICE_ACCOUNT,
    LABELS: { ...metadata.LABELS },
    INSTANCE_IPS: metadata.INSTANCE_IPS,
    GENERATOR: metadata.GENERATOR,
  };
  if (metadata.CLUSTER_ID !== undefined) json['CLUSTER_ID'] = metadata.CLUSTER_ID;
  if (metadata.INTERCEPTION_MODE !== undefined) json['INTERCEPTION_MODE'] = metadata.INTERCEPTION_MODE;
  if (metadata.INMESH_PROXY_PORT !== undefined) json['INMESH_PROXY_PORT'] = metadata.INMESH_PROXY_PORT;
  if (metadata.AUTO_REGISTER_GROUP !== undefined) json['AUTO_REGISTER_GROUP'] = metadata.AUTO_REGISTER_GROUP;
  if (metadata.INMESH_HEALTH !== undefined) json['INMESH_HEALTH'] = metadata.INMESH_HEALTH;
  if (metadata.INMESH_VERSION !== undefined) json['INMESH_VERSION'] = metadata.INMESH_VERSION;
  if (metadata.INMESH_WORKLOADS !== undefined) {
    json['INMESH_WORKLOADS'] = metadata.INMESH_WORKLOADS.map((workload) => ({ ...workload }));
  }
  const { INMESH_PLAINTEXT: callers = [] } = metadata;
  if (callers.length > 0) json['INMESH_PLAINTEXT'] = encodePlaintextCallers(callers);
  return create(core.NodeSchema, {
    dynamicParameters: Object.fromEntries(
      Object.entries(node.dynamicParameters ?? {}).map(([typeUrl, params]) => [
        typeUrl,
        { params: { ...params } },
      ]),
    ),
    id: node.id,
    cluster: node.cluster,
    locality: encodeLocality(node.locality),
    metadata: json,
    userAgentName: node.userAgent ?? OWN_NAME,
    clientFeatures: [...new Set([...CLIENT_FEATURES, ...(node.clientFeatures ?? [])])],
    userAgentVersionType: { case: 'userAgentVersion', value: metadata.INMESH_VERSION ?? '' },
  });
}

/**
 * The node that sent a request. Its metadata is what a remote process says about itself, so wrong types are refused;
 * what is absent (another client's node) is empty.
 */
export function decodeNode(message: core.Node): Node {
  const path = rootPath(`node ${message.id}`);
  const extra = otherTexts(message.metadata ?? {});
  return {
    id: message.id,
    cluster: message.cluster,
    locality: decodeLocality(message.locality),
    metadata: decodeMetadata(message.metadata ?? {}, at(path, 'metadata')),
    ...(message.userAgentName !== '' &&
      message.userAgentName !== OWN_NAME && { userAgent: message.userAgentName }),
    ...(extra !== undefined && { extra }),
  };
}

/** A remote process must not fill the memory with what it says of itself. */
const MAX_TEXTS = 100;
const MAX_TEXT_LENGTH = 1000;

const KNOWN: ReadonlySet<string> = new Set([
  'NAMESPACE',
  'SERVICE_ACCOUNT',
  'INSTANCE_IPS',
  'GENERATOR',
  'CLUSTER_ID',
  'INTERCEPTION_MODE',
  'AUTO_REGISTER_GROUP',
  'INMESH_HEALTH',
  'INMESH_VERSION',
]);

/** Istio: only texts among the metadata can be chosen by. */
function otherTexts(json: JsonObject): Readonly<Record<string, string>> | undefined {
  const texts: [string, string][] = [];
  for (const [name, value] of Object.entries(json)) {
    if (typeof value !== 'string' || KNOWN.has(name)) continue;
    if (name.length > MAX_TEXT_LENGTH || value.length > MAX_TEXT_LENGTH) continue;
    texts.push([name, value]);
    if (texts.length === MAX_TEXTS) break;
  }
  return texts.length === 0 ? undefined : Object.fromEntries(texts);
}

/** The locality; an absent one is the empty one. */
export function decodeLocality(message: core.Locality | undefined): Locality {
  if (message === undefined) return NO_LOCALITY;
  return { region: message.region, zone: message.zone, subZone: message.subZone };
}

/** The locality as a message. */
export function encodeLocality({ region, zone, subZone }: Locality): core.Locality {
  return create(core.LocalitySchema, { region, zone, subZone });
}

function decodeMetadata(json: JsonObject, path: Path): NodeMetadata {
  const version = json['INMESH_VERSION'];
  const clusterId = json['CLUSTER_ID'];
  const workloads = json['INMESH_WORKLOADS'];
  const callers = json['INMESH_PLAINTEXT'];
  const mode = json['INTERCEPTION_MODE'];
  const proxyPort = json['INMESH_PROXY_PORT'];
  return {
    NAMESPACE: text(json, 'NAMESPACE', path),
    SERVICE_ACCOUNT: text(json, 'SERVICE_ACCOUNT', path),
    LABELS: labels(json['LABELS'], at(path, 'LABELS')),
    INSTANCE_IPS: text(json, 'INSTANCE_IPS', path),
    GENERATOR: text(json, 'GENERATOR', path),
    ...(clusterId === undefined ? {} : { CLUSTER_ID: text(json, 'CLUSTER_ID', path) }),
    ...(mode === undefined ? {} : { INTERCEPTION_MODE: text(json, 'INTERCEPTION_MODE', path) }),
    ...(proxyPort === undefined
      ? {}
      : { INMESH_PROXY_PORT: proxyPort === 0 ? 0 : port(proxyPort, at(path, 'INMESH_PROXY_PORT')) }),
    ...groupOf(json, path),
    ...healthOf(json['INMESH_HEALTH']),
    ...(version === undefined ? {} : { INMESH_VERSION: text(json, 'INMESH_VERSION', path) }),
    ...(workloads === undefined ? {} : { INMESH_WORKLOADS: decodeWorkloads(workloads, path) }),
    ...(callers === undefined ? {} : { INMESH_PLAINTEXT: decodePlaintextCallers(callers, path) }),
  };
}

/** Istio: an empty name is none. */
function groupOf(json: JsonObject, path: Path): Pick<NodeMetadata, 'AUTO_REGISTER_GROUP'> {
  const group = text(json, 'AUTO_REGISTER_GROUP', path);
  return group === '' ? {} : { AUTO_REGISTER_GROUP: group };
}

function healthOf(value: JsonValue | undefined): Pick<NodeMetadata, 'INMESH_HEALTH'> {
  return value === 'healthy' || value === 'unhealthy' ? { INMESH_HEALTH: value } : {};
}

function decodeWorkloads(value: JsonValue, path: Path): readonly NodeWorkload[] {
  if (!Array.isArray(value)) return refuse(at(path, 'INMESH_WORKLOADS'), 'must be a list');
  return value.map((entry, index) => decodeWorkload(entry, at(path, 'INMESH_WORKLOADS', index)));
}

function decodeWorkload(value: JsonValue, path: Path): NodeWorkload {
  const json = isObject(value) ? value : refuse(path, 'must be an object');
  const service = text(json, 'service', path);
  const address = text(json, 'address', path);
  if (service === '') refuse(at(path, 'service'), 'must not be empty');
  if (address === '') refuse(at(path, 'address'), 'must not be empty');
  return {
    service,
    address,
    port: port(json['port'], at(path, 'port')),
    portName: text(json, 'portName', path),
    tlsMode: tlsMode(json['tlsMode'], at(path, 'tlsMode')),
    ...protocol(json['protocol'], at(path, 'protocol')),
  };
}

function protocol(value: JsonValue | undefined, path: Path): Pick<NodeWorkload, 'protocol'> {
  if (value === undefined) return {};
  return value === 'tcp' || value === 'grpc' ? { protocol: value } : refuse(path, 'must be tcp or grpc');
}

function port(value: JsonValue | undefined, path: Path): number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535
    ? value
    : refuse(path, 'must be a port number');
}

function tlsMode(value: JsonValue | undefined, path: Path): 'istio' | 'disabled' {
  return value === 'istio' || value === 'disabled' ? value : refuse(path, 'must be istio or disabled');
}

function labels(value: JsonValue | undefined, path: Path): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  const json = isObject(value) ? value : refuse(path, 'must be an object');
  return Object.fromEntries(Object.keys(json).map((key) => [key, text(json, key, path)]));
}

function text(json: JsonObject, key: string, path: Path): string {
  const value = Object.hasOwn(json, key) ? json[key] : undefined;
  if (value === undefined) return '';
  return typeof value === 'string' ? value : refuse(at(path, key), 'must be a string');
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
