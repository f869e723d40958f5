import { GATEWAY_GROUP } from '../kinds/gateway-api/fields.js';
import { fullHostName } from '../kinds/hosts.js';
import type { Destination, GatewayServer, TcpRoute, TlsRoute } from '../kinds/types.js';
import type { ConfigView, Document } from '../kinds/view.js';
import { appliesToMesh } from '../kinds/virtual-service.js';
import { type Conversion, type Converting, converted, given, type WrittenDocument } from './conversion.js';
import { gatewayApiRules } from './gateway-api-rules.js';

const API_VERSION = `${GATEWAY_GROUP}/v1`;
const SERVICE_DOMAIN = '.svc.cluster.local';

/** Gateways and VirtualServices of Istio as documents of the Gateway API. */
export function toGatewayApi(view: ConfigView): Conversion {
  return converted(view, (converting) => {
    for (const gateway of view.list('Gateway')) convertGateway(gateway, converting);
    for (const service of view.list('VirtualService')) convertService(service, converting);
    for (const rule of view.list('DestinationRule')) convertDestinationRule(rule, converting);
  });
}

type Names = { readonly namespace: string; readonly name: string };

function written(kind: string, { namespace, name }: Names, spec: Record<string, unknown>): WrittenDocument {
  return { apiVersion: API_VERSION, kind, metadata: { name, namespace }, spec };
}

function convertGateway(gateway: Document<'Gateway'>, converting: Converting): void {
  const { documents, lose } = converting;
  const { servers = [], selector } = gateway.spec;
  if (selector !== undefined)
    lose(
      gateway,
      'a Gateway of the Gateway API does not select workloads: its gateways have the label gateway.networking.k8s.io/gateway-name',
    );
  const listeners = servers.flatMap((server) => listenersOf(server, gateway, converting));
  if (listeners.length === 0) return;
  documents.push(written('Gateway', gateway, { gatewayClassName: 'inmesh', listeners }));
  const redirected = servers.filter(({ tls }) => tls?.httpsRedirect === true);
  if (redirected.length === 0) return;
  const parentRefs = redirected.flatMap((server) =>
    server.hosts.map((_, index) => ({ name: gateway.name, sectionName: listenerName(server, index) })),
  );
  const filters = [{ type: 'RequestRedirect', requestRedirect: { scheme: 'https', statusCode: 301 } }];
  documents.push(
    written(
      'HTTPRoute',
      { ...namesOf(gateway), name: `${gateway.name}-https` },
      { parentRefs, rules: [{ filters }] },
    ),
  );
}

function namesOf({ namespace, name }: Names): Names {
  return { namespace, name };
}

function listenerName({ port, hosts }: GatewayServer, index: number): string {
  const name = port.name.toLowerCase().replaceAll(/[^a-z0-9-]/g, '-');
  return hosts.length === 1 ? name : `${name}-${index + 1}`;
}

const PROTOCOLS: Readonly<Record<string, string>> = {
  http: 'HTTP',
  http2: 'HTTP',
  grpc: 'HTTP',
  'grpc-web': 'HTTP',
  https: 'HTTPS',
  tls: 'TLS',
  tcp: 'TCP',
};

function listenersOf(
  server: GatewayServer,
  gateway: Document<'Gateway'>,
  { lose }: Converting,
): readonly Record<string, unknown>[] {
  const { port, hosts, tls, bind } = server;
  const protocol = PROTOCOLS[port.protocol.toLowerCase()] ?? 'TCP';
  if (bind) lose(gateway, `the address ${bind} of the server ${port.name}`);
  if (tls?.mode === 'MUTUAL' || tls?.mode === 'OPTIONAL_MUTUAL')
    lose(
      gateway,
      `roots for clients of the server ${port.name}: put them into a ConfigMap and name it in tls.frontend`,
    );
  if (tls?.mode === 'ISTIO_MUTUAL' || tls?.mode === 'AUTO_PASSTHROUGH')
    lose(gateway, `the TLS mode ${tls.mode} of the server ${port.name}`);
  const isPassthrough = tls?.mode === 'PASSTHROUGH' || (tls?.mode === undefined && protocol === 'TLS');
  // A server of HTTPS that passes TLS on is one of TLS here.
  const shown = isPassthrough && protocol === 'HTTPS' ? 'TLS' : protocol;
  const names = tls?.credentialName ? [tls.credentialName] : (tls?.credentialNames ?? []);
  if (tls?.serverCertificate)
    lose(gateway, `certificates of the server ${port.name} are in files; a listener takes them from Secrets`);
  return hosts.map((host, index) => {
    const [scope, name = host] = host.includes('/') ? host.split('/') : ['*', host];
    return given({
      name: listenerName(server, index),
      port: port.number,
      protocol: shown,
      hostname: name === '*' || shown === 'TCP' ? undefined : name.toLowerCase(),
      tls:
        shown === 'HTTP' || shown === 'TCP'
          ? undefined
          : isPassthrough
            ? { mode: 'Passthrough' }
            : { mode: 'Terminate', certificateRefs: names.map((secret) => ({ name: secret })) },
      allowedRoutes: { namespaces: namespacesOf(scope ?? '*', gateway.namespace) },
    });
  });
}

function namespacesOf(scope: string, own: string): Record<string, unknown> {
  if (scope === '*') return { from: 'All' };
  if (scope === '.' || scope === own) return { from: 'Same' };
  return { from: 'Selector', selector: { matchLabels: { 'kubernetes.io/metadata.name': scope } } };
}

function convertService(service: Document<'VirtualService'>, converting: Converting): void {
  const { spec, namespace } = service;
  const { lose } = converting;
  if ((spec.hosts ?? []).length === 0) {
    lose(service, 'delegates: join its rules with those of the VirtualService that delegates to it');
    return;
  }
  if (spec.exportTo !== undefined)
    lose(service, 'exportTo: a route is for all clients, or for those of its own namespace');
  const gateways = (spec.gateways ?? []).filter((name) => name !== 'mesh');
  const atGateways = gateways.map((name) => {
    const [other, own] = name.includes('/') ? name.split('/') : [namespace, name];
    return given({ name: own, namespace: other === namespace ? undefined : other });
  });
  const inMesh = appliesToMesh(spec)
    ? (spec.hosts ?? []).flatMap((host) => parentOf(fullHostName(host, namespace), service, converting))
    : [];
  if (inMesh.length > 0)
    addRoutes(
      service,
      { parentRefs: inMesh },
      inMesh.length > 0 && atGateways.length > 0 ? '-mesh' : '',
      converting,
    );
  if (atGateways.length > 0) {
    const hostnames = (spec.hosts ?? [])
      .filter((host) => host !== '*')
      .map((host) => fullHostName(host, namespace));
    addRoutes(service, given({ parentRefs: atGateways, hostnames }), '', converting);
  }
}

/** A service of the mesh as the parent of a route. */
function parentOf(
  host: string,
  service: Document<'VirtualService'>,
  { view, lose }: Converting,
): readonly Record<string, unknown>[] {
  const [name = '', namespace = ''] = host.split('.');
  if (host.endsWith(SERVICE_DOMAIN) && !host.startsWith('*'))
    return [
      given({
        group: '',
        kind: 'Service',
        name,
        namespace: namespace === service.namespace ? undefined : namespace,
      }),
    ];
  const entry = view.list('ServiceEntry').find(({ spec }) => spec.hosts.includes(host));
  if (entry !== undefined)
    return [
      { group: 'networking.istio.io', kind: 'ServiceEntry', name: entry.name, namespace: entry.namespace },
    ];
  lose(service, `the host ${host}: a route for clients in the mesh is attached to a Service`);
  return [];
}

function addRoutes(
  service: Document<'VirtualService'>,
  parents: Record<string, unknown>,
  suffix: string,
  converting: Converting,
): void {
  const { spec } = service;
  const { documents } = converting;
  const names = { namespace: service.namespace, name: `${service.name}${suffix}` };
  const backendOf = (destination: Destination) => backendFor(destination, service, converting);
  if (spec.http?.length) {
    const rules = gatewayApiRules(service, backendOf, converting);
    documents.push(written('HTTPRoute', names, { ...parents, rules }));
  }
  const add = (
    kind: 'TCPRoute' | 'TLSRoute',
    route: TcpRoute | TlsRoute,
    index: number,
    more: Record<string, unknown>,
  ) => {
    const backendRefs = (route.route ?? []).map(({ destination, weight }) =>
      given({ ...backendOf(destination), weight: (route.route ?? []).length > 1 ? weight : undefined }),
    );
    const own = index === 0 ? names : { ...names, name: `${names.name}-${index + 1}` };
    documents.push({
      ...written(kind, own, { ...parents, ...more, rules: [{ backendRefs }] }),
      apiVersion: `${GATEWAY_GROUP}/${kind === 'TCPRoute' ? 'v1alpha2' : 'v1'}`,
    });
  };
  for (const [index, route] of (spec.tls ?? []).entries())
    add('TLSRoute', route, index, { hostnames: route.match.flatMap(({ sniHosts }) => sniHosts) });
  for (const [index, route] of (spec.tcp ?? []).entries()) {
    if ((route.match ?? []).length > 0) converting.lose(service, `the match of tcp[${index}]`);
    add('TCPRoute', route, index, {});
  }
}

/** A destination as the reference of a backend; a subset as a Service of its own. */
function backendFor(
  destination: Destination,
  service: Document<'VirtualService'>,
  converting: Converting,
): Record<string, unknown> {
  const { view, lose } = converting;
  const host = fullHostName(destination.host, service.namespace);
  if (!host.endsWith(SERVICE_DOMAIN))
    return given({
      group: 'networking.istio.io',
      kind: 'Hostname',
      name: host,
      port: destination.port?.number ?? 80,
    });
  const [name = '', namespace = ''] = host.split('.');
  const document = view.get('Service', namespace, name);
  const ports = document?.spec.ports ?? [];
  const port = destination.port?.number ?? (ports.length === 1 ? ports[0]?.port : undefined);
  if (port === undefined) lose(service, `the port of ${host}: a reference to a Service needs one`);
  if (namespace !== service.namespace)
    lose(service, `the reference to ${name} in ${namespace} needs a ReferenceGrant there`);
  const own =
    destination.subset === undefined
      ? name
      : subsetService({ namespace, name }, destination.subset, service, converting);
  return given({
    name: own,
    namespace: namespace === service.namespace ? undefined : namespace,
    port: port ?? 80,
  });
}

/** Routes of the Gateway API know no subsets: each is a Service that selects its workloads. */
function subsetService(
  { namespace, name }: Names,
  subset: string,
  service: Document<'VirtualService'>,
  { view, documents, lose }: Converting,
): string {
  const own = `${name}-${subset}`;
  if (view.get('Service', namespace, own) !== undefined) return own;
  if (
    documents.some(
      ({ kind, metadata }) => kind === 'Service' && metadata.name === own && metadata.namespace === namespace,
    )
  )
    return own;
  const host = `${name}.${namespace}${SERVICE_DOMAIN}`;
  const rule = view
    .list('DestinationRule')
    .find((one) => fullHostName(one.spec.host, one.namespace) === host);
  const labels = rule?.spec.subsets?.find((one) => one.name === subset)?.labels;
  const document = view.get('Service', namespace, name);
  if (labels === undefined || document === undefined) {
    lose(service, `the subset ${subset} of ${host}: make a Service ${own} that selects its workloads`);
    return own;
  }
  const ports = (document.spec.ports ?? []).map((port) => given({ ...port }));
  documents.push({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: own, namespace },
    spec: { selector: { ...document.spec.selector, ...labels }, ports },
  });
  return own;
}

function convertDestinationRule(rule: Document<'DestinationRule'>, { lose }: Converting): void {
  const { trafficPolicy, subsets = [] } = rule.spec;
  const hasPolicies = trafficPolicy !== undefined || subsets.some((one) => one.trafficPolicy !== undefined);
  if (hasPolicies)
    lose(rule, 'keep it: its traffic policies have no equal in the Gateway API, and hold beside it');
}
