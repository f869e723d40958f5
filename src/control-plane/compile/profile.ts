import { isIP } from 'node:net';
import type { AccessLog } from '../../model/access-log.js';
import { NO_LOCALITY } from '../../model/endpoint.js';
import { isNowhere, localityOfLabels } from '../../model/locality.js';
import type { Node } from '../../model/node.js';
import { WeakMemo } from '../../runtime/weak-memo.js';
import { GATEWAY_NAME_LABEL } from '../gateway-api/gateway-services.js';
import type { ConfigView, Document, KindSpecs } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { selects } from '../mesh/visibility.js';
import { DEFAULT_CLUSTER_ID } from '../registry/workload.js';
import { virtualServicesOf } from './delegates.js';
import { type Patch, patchesFor } from './envoy-filter/patches.js';
import { CLUSTER_LABEL, type ClientPlace, withTopology } from './locality-balance.js';
import { localityInterest } from './locality-setting.js';
import { clientLabels, sidecarFor } from './sidecar.js';
import { accessLogsFor } from './telemetry.js';
import { type TracingSpec, tracingSpec } from './tracing-spec.js';

/** Who reads a configuration. */
export type Generator = 'inmesh' | 'grpc' | 'envoy';

/** What the listeners of an Envoy depend on. */
export interface EnvoyOptions {
  /** Port of the HTTP proxy for applications on its machine; 0 = none. */
  readonly proxyPort: number;
  /** Whether each port of a service has a listener, too. */
  readonly hasPortListeners: boolean;
  /** The Gateways that select it, `namespace/name`. */
  readonly gateways: readonly string[];
  /** Of a gateway: where it is, and its labels, by which services lead to it; undefined = nobody knows where. */
  readonly addresses: readonly string[] | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** Everything about a client that its configuration depends on: clients with equal keys receive the same. */
export interface Profile {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Who reads it: our SDK, gRPC's own xDS clients, Envoy. */
  readonly generator: Generator;
  /** For an Envoy: what its listeners depend on besides. */
  readonly envoy: EnvoyOptions | undefined;
  /** Where the client is, as far as that makes a difference. */
  readonly place: ClientPlace;
  /** What narrows its view of the mesh; undefined = nothing does. */
  readonly sidecar: Document<'Sidecar'> | undefined;
  /** What EnvoyFilters change in what it receives. */
  readonly patches: readonly Patch[];
  /** Where its exchanges are logged besides where it says itself; undefined = nowhere. */
  readonly accessLogs: readonly AccessLog[] | undefined;
  /** How its requests are traced; undefined = they are not. */
  readonly tracing: TracingSpec | undefined;
  readonly key: string;
}

/** An Envoy that stands before an application. */
export interface InboundNode {
  readonly node: Node;
  readonly namespace: string;
  /** Where others find it; empty = nobody said. */
  readonly addresses: readonly string[];
}

const NO_LABELS: Readonly<Record<string, string>> = {};
const NOWHERE: readonly string[] = [];

/** The profile of a node. Of its labels only those count that the configuration asks for, so that few profiles do. */
export function profileOf(node: Node, view: ConfigView, config: MeshConfig): Profile {
  const { NAMESPACE, LABELS } = node.metadata;
  const namespace = NAMESPACE || namespaceOfId(node.id);
  const generator = generatorOf(node);
  const envoy = generator === 'envoy' ? envoyOptions(node, view, namespace) : undefined;
  const wanted = sourceLabelKeys(view, config).filter((key) => Object.hasOwn(LABELS, key));
  const labels =
    wanted.length === 0 ? NO_LABELS : Object.fromEntries(wanted.map((key) => [key, LABELS[key] ?? '']));
  const place = placeOf(node, view, config);
  // Istio: Sidecars are not for gateways.
  const sidecar = isRouter(node.id)
    ? undefined
    : sidecarFor(view, { namespace, labels: clientLabels(node) }, config.rootNamespace);
  const sidecarName = sidecar && `${sidecar.namespace}/${sidecar.name}`;
  const subject = { namespace, labels: clientLabels(node), gateways: envoy?.gateways, node };
  const patches = patchesFor(view, subject, config.rootNamespace);
  const patchIds = patches.map(({ id }) => id);
  // Envoys have logs of their own, and gRPC's clients have none.
  const accessLogs = generator === 'inmesh' ? accessLogsFor(view, subject, 'CLIENT', config) : undefined;
  const isOurs = generator === 'inmesh';
  // gRPC's clients trace by their own means.
  const tracing =
    generator === 'grpc' ? undefined : tracingSpec(view, { ...subject, isOurs }, 'CLIENT', config);
  const parts = [generator, namespace, labels, place, envoy, sidecarName, patchIds, accessLogs, tracing];
  const key = JSON.stringify(parts);
  return { namespace, labels, generator, place, envoy, sidecar, patches, accessLogs, tracing, key };
}

/** A node says what it wants, or its program is known; gRPC's clients are many, so that they are who the others are not. */
function generatorOf({ id, metadata, userAgent }: Node): Generator {
  const { GENERATOR } = metadata;
  if (GENERATOR === 'inmesh' || GENERATOR === 'grpc' || GENERATOR === 'envoy') return GENERATOR;
  return userAgent === 'envoy' || isRouter(id) ? 'envoy' : 'grpc';
}

/** An Envoy as what stands before the application beside it; undefined = it is a gateway, or no Envoy. */
export function besideApplication(node: Node, { envoy, namespace }: Profile): InboundNode | undefined {
  if (envoy === undefined || envoy.gateways.length > 0 || isRouter(node.id)) return undefined;
  // Istio: the second part of a node's id is its first address.
  const given = node.metadata.INSTANCE_IPS || (node.id.split('~')[1] ?? '');
  return { node, namespace, addresses: ownAddresses(given).filter((one) => isIP(one) !== 0) };
}

/** Istio: ids of gateways begin so. */
function isRouter(id: string): boolean {
  return id.startsWith('router~');
}

/** Whether an Envoy with these labels is a gateway: a Gateway selects them, or they are those of Istio's own gateways. */
export function typeByLabels(
  labels: Readonly<Record<string, string>>,
  view: ConfigView,
): 'sidecar' | 'router' {
  const isUsual = labels['istio']?.endsWith('gateway') === true || GATEWAY_NAME_LABEL in labels;
  return isUsual || gatewaysSelecting(labels, view).length > 0 ? 'router' : 'sidecar';
}

/** The Gateways whose selectors name the labels. */
function gatewaysSelecting(labels: Readonly<Record<string, string>>, view: ConfigView) {
  return view.list('Gateway').filter(({ spec: { selector = {} } }) => {
    return Object.keys(selector).length > 0 && selects(selector, labels);
  });
}

/** Addresses that are the node's alone; everybody on a machine shares those of loopback. */
function ownAddresses(list: string): readonly string[] {
  return list.split(',').filter((address) => address !== '' && !/^(?:127\.|::1$)/.test(address));
}

/** Where applications find an Envoy as their HTTP proxy unless the node says otherwise; a gateway is none. */
const DEFAULT_PROXY_PORT = 15_001;

function envoyOptions({ id, metadata }: Node, view: ConfigView, namespace: string): EnvoyOptions {
  const { LABELS, INTERCEPTION_MODE, INMESH_PROXY_PORT, INSTANCE_IPS } = metadata;
  const gateways = view
    .list('Gateway')
    .filter(({ spec }) => {
      const { selector = {}, gatewayApi } = spec;
      // Those of the Gateway API are served in their own namespace, or where their service is.
      if (gatewayApi !== undefined && gatewayApi.namespace !== namespace) return false;
      // Istio: without a selector it is for every gateway.
      return Object.keys(selector).length === 0 ? isRouter(id) : selects(selector, LABELS);
    })
    .map(({ namespace, name }) => `${namespace}/${name}`);
  return {
    proxyPort: INMESH_PROXY_PORT ?? (isRouter(id) ? 0 : DEFAULT_PROXY_PORT),
    hasPortListeners: INTERCEPTION_MODE === 'NONE',
    gateways,
    addresses: gateways.length === 0 ? NOWHERE : INSTANCE_IPS === '' ? undefined : ownAddresses(INSTANCE_IPS),
    labels: gateways.length === 0 ? NO_LABELS : LABELS,
  };
}

/** Istio: a node that does not say where it is, is where its labels say. */
function placeOf({ locality: own, metadata }: Node, view: ConfigView, config: MeshConfig): ClientPlace {
  const interest = localityInterest(view, config);
  if (!interest.locality && interest.labels.length === 0) return { locality: NO_LOCALITY, labels: NO_LABELS };
  const locality = isNowhere(own) ? localityOfLabels(metadata.LABELS) : own;
  const all = withTopology(metadata.LABELS, locality, metadata.CLUSTER_ID ?? DEFAULT_CLUSTER_ID);
  const labelValue = (name: string) => (Object.hasOwn(all, name) ? (all[name] ?? '') : '');
  return {
    locality: interest.locality ? locality : NO_LOCALITY,
    labels: Object.fromEntries([CLUSTER_LABEL, ...interest.labels].map((name) => [name, labelValue(name)])),
  };
}

/** Istio's node ids end in `~<namespace>.svc.<domain>`. */
function namespaceOfId(id: string): string {
  return /~([^~.]+)\.svc\.[^~]*$/.exec(id)?.[1] ?? 'default';
}

/** Labels of clients that some route or policy depends on, sorted. */
function sourceLabelKeys(view: ConfigView, config: MeshConfig): readonly string[] {
  const rules = view.list('DestinationRule');
  const services = virtualServicesOf(view, config);
  return labelKeys.get([rules, services], () => {
    const keys = [
      ...rules.map(({ spec }) => keysOfRule(spec)),
      ...services.map(({ spec }) => keysOfService(spec)),
    ];
    return [...new Set(keys.flat())].sort();
  });
}

const labelKeys = new WeakMemo<readonly string[]>();

function keysOfRule({ workloadSelector }: KindSpecs['DestinationRule']): readonly string[] {
  return Object.keys(workloadSelector?.matchLabels ?? {});
}

function keysOfService(spec: KindSpecs['VirtualService']): readonly string[] {
  return serviceKeys.get([spec], () => {
    const rules = [...(spec.http ?? []), ...(spec.tls ?? []), ...(spec.tcp ?? [])];
    const selectors = rules.flatMap(({ match = [] }) => match.map(({ sourceLabels }) => sourceLabels));
    return [...new Set(selectors.flatMap((selector) => Object.keys(selector ?? {})))];
  });
}

const serviceKeys = new WeakMemo<readonly string[]>();
