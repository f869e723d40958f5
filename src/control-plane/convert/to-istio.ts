import { backendTlsOf } from '../gateway-api/backend-tls.js';
import { GATEWAY_NAME_LABEL } from '../gateway-api/gateway-services.js';
import { tcpRuleOf, tlsRuleOf } from '../gateway-api/l4-rules.js';
import { isServed, layerOf, type ResolvedListener } from '../gateway-api/listeners.js';
import { hostsOf } from '../gateway-api/parents.js';
import type { RouteState } from '../gateway-api/route-state.js';
import { type GatewayApiState, type GatewayState, gatewayApiState } from '../gateway-api/state.js';
import type { ConfigView, Document } from '../kinds/view.js';
import { type Conversion, type Converting, converted, given, type WrittenDocument } from './conversion.js';
import { istioHttpRules } from './istio-rules.js';

const API_VERSION = 'networking.istio.io/v1';

/** The documents of the Gateway API as VirtualServices, Gateways and DestinationRules of Istio. */
export function toIstio(view: ConfigView): Conversion {
  return converted(view, (converting) => {
    const state = gatewayApiState(view);
    for (const one of state.gateways) convertGateway(one, converting);
    for (const one of state.routes) convertRoute(one, state, converting);
    convertPolicies(converting);
    for (const grant of view.list('ReferenceGrant'))
      converting.lose(grant, 'Istio asks nobody for leave to refer to another namespace');
  });
}

function written(
  kind: string,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  spec: Record<string, unknown>,
): WrittenDocument {
  return { apiVersion: API_VERSION, kind, metadata: { name, namespace }, spec };
}

function convertGateway({ gateway, listeners }: GatewayState, converting: Converting): void {
  const { documents, lose } = converting;
  const served = listeners.filter(isServed);
  for (const { spec } of listeners.filter((one) => !isServed(one)))
    lose(gateway, `the listener ${spec.name} is not served`);
  lose(gateway, `Istio runs no gateway for it: give one the label ${GATEWAY_NAME_LABEL}: ${gateway.name}`);
  const servers = served.map((listener) => serverOf(listener, converting));
  if (servers.length === 0) return;
  documents.push(written('Gateway', gateway, { selector: { [GATEWAY_NAME_LABEL]: gateway.name }, servers }));
}

function serverOf(listener: ResolvedListener, { lose }: Converting): Record<string, unknown> {
  const { spec, owner, gateway, tls } = listener;
  const { from } = spec.allowedRoutes.namespaces;
  if (from === 'Selector')
    lose(gateway, `the listener ${spec.name} selects namespaces by labels; Istio names them`);
  const scope = from === 'Same' ? owner.namespace : '*';
  const [certificate, ...others] = tls?.certificates ?? [];
  if (others.length > 0) lose(gateway, `the listener ${spec.name} has further certificates`);
  if (certificate !== undefined && certificate.namespace !== gateway.namespace)
    lose(gateway, `Istio looks for the Secret ${certificate.name} in the namespace of the gateway`);
  if (tls?.clientRoots !== undefined)
    lose(
      gateway,
      `roots for clients of the listener ${spec.name} are in a ConfigMap; Istio takes them from the Secret <name>-cacert`,
    );
  const mode = tls?.clientRoots === undefined ? 'SIMPLE' : tls.allowsAnyClient ? 'OPTIONAL_MUTUAL' : 'MUTUAL';
  return given({
    name: spec.name,
    port: { number: spec.port, name: spec.name, protocol: spec.protocol },
    hosts: [`${scope}/${spec.hostname ?? '*'}`],
    tls:
      layerOf(spec) !== 'tls'
        ? undefined
        : tls === undefined
          ? { mode: 'PASSTHROUGH' }
          : given({ mode, credentialName: certificate?.name }),
  });
}

function convertRoute(state: RouteState, { lookup }: GatewayApiState, converting: Converting): void {
  const { route, parents } = state;
  for (const { refusal, reference } of parents) {
    if (refusal !== undefined)
      converting.lose(route, `${reference.kind} ${reference.name}: ${refusal.message}`);
  }
  const services = parents.flatMap((one) => one.services);
  for (const { host, port, consumer } of services) {
    const rules = rulesFor(state, converting, { grants: lookup.grants, hosts: [host], port });
    const exportTo = consumer === undefined ? undefined : ['.'];
    const name = parents.length === 1 ? route.name : `${route.name}-${host.split('.')[0]}`;
    const names = { namespace: route.namespace, name };
    converting.documents.push(written('VirtualService', names, given({ hosts: [host], exportTo, ...rules })));
  }
  const gateways = gatewaysOf(state, converting);
  if (gateways.length === 0) return;
  const hosts = [...hostsOf(route)];
  const rules = rulesFor(state, converting, { grants: lookup.grants, hosts, port: undefined });
  const name = services.length === 0 ? route.name : `${route.name}-gateways`;
  const names = { namespace: route.namespace, name };
  converting.documents.push(written('VirtualService', names, { hosts, gateways, ...rules }));
}

function gatewaysOf({ route, parents }: RouteState, { lose }: Converting): readonly string[] {
  const gateways = new Set<string>();
  for (const { listeners, reference } of parents) {
    for (const { listener } of listeners)
      gateways.add(`${listener.gateway.namespace}/${listener.gateway.name}`);
    if (listeners.length > 0 && reference.sectionName !== undefined) {
      const what = `it is for the listener ${reference.sectionName} only`;
      lose(route, `${what}; a VirtualService is for all servers of a Gateway`);
    }
  }
  return [...gateways];
}

function rulesFor(
  { route }: RouteState,
  converting: Converting,
  {
    grants,
    hosts,
    port,
  }: {
    readonly grants: GatewayApiState['lookup']['grants'];
    readonly hosts: readonly string[];
    readonly port: number | undefined;
  },
): Record<string, unknown> {
  if (isL4(route, 'TCPRoute')) {
    const rule = tcpRuleOf(route, grants);
    return {
      tcp: rule === undefined ? [] : [given({ match: port === undefined ? undefined : [{ port }], ...rule })],
    };
  }
  if (isL4(route, 'TLSRoute')) {
    const rule = tlsRuleOf(route, hosts, grants);
    return { tls: rule === undefined ? [] : [rule] };
  }
  return { http: istioHttpRules(route, port, grants, converting) };
}

function isL4<K extends 'TCPRoute' | 'TLSRoute'>(route: RouteState['route'], kind: K): route is Document<K> {
  return route.kind === kind;
}

function convertPolicies({ view, documents, lose }: Converting): void {
  for (const { policy, host, section, roots, serverName, names, notAccepted } of backendTlsOf(view)) {
    if (notAccepted !== undefined) {
      lose(policy, notAccepted.message);
      continue;
    }
    if (roots !== undefined)
      lose(policy, 'roots are in a ConfigMap; Istio takes them from a file or a Secret');
    const tls = { mode: 'SIMPLE', sni: serverName, subjectAltNames: [...names] };
    const number = view
      .get('Service', policy.namespace, host.split('.')[0] ?? '')
      ?.spec.ports?.find(({ name }) => name === section)?.port;
    const trafficPolicy = number === undefined ? { tls } : { portLevelSettings: [{ port: { number }, tls }] };
    documents.push(written('DestinationRule', policy, { host, trafficPolicy }));
  }
}
