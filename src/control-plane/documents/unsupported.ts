import { isUtf8 } from 'node:buffer';
import { checkFormat } from '../../service/format/format.js';
import { patchesOf } from '../compile/envoy-filter/patches.js';
import { isLogFilter } from '../compile/log-filter.js';
import { apiForGateways, apiUnsupported } from '../kinds/gateway-api/unsupported.js';
import { meshConfigOfConfigMap } from '../kinds/mesh-config.js';
import { meshProxySchema } from '../kinds/mesh-proxy-schema.js';
import { entriesOf } from '../kinds/report.js';
import type { SidecarSpec } from '../kinds/types.js';
import { valuesAt } from '../kinds/values-at.js';
import type { Document, FieldPath, KindName } from '../kinds/view.js';
import { appliesToMesh } from '../kinds/virtual-service.js';
import type { RuleViolation } from '../schema/violation.js';

// An accepted field is a promise. What stands here is read and checked, but not carried out: it is refused, so that
// nobody relies on it. Whoever carries a field out deletes its line.

/** What of a field is read and not carried out. */
export interface Unsupported {
  /** Names of fields; `*` stands for every element of a list or map. */
  readonly path: string;
  /** Only these values are meant. */
  readonly values?: readonly unknown[];
  /** Only texts of which this does not hold are meant; without `values` and `unless`, every value is. */
  readonly unless?: (text: string) => boolean;
  readonly because: string;
  /** Nothing is lost by it: it is let pass, with a warning. */
  readonly isHarmless?: true;
}

const ABOUT_PROXIES = 'it is about proxies and their machines, and there are none here';
const ABOUT_KUBERNETES = 'it is about Kubernetes and how Istio is installed there';
const ONE_NETWORK = "there is one network: members of a mesh reach each other's addresses";
const NOTHING_IN_ISTIO = 'Istio reads it and does nothing';
const NO_PROBES = 'Node lets only the time before the first probe be chosen';

function refused(because: string, ...paths: readonly string[]): readonly Unsupported[] {
  return paths.map((path) => ({ path, because }));
}

function without(because: string, ...paths: readonly string[]): readonly Unsupported[] {
  return paths.map((path) => ({ path, because, isHarmless: true }));
}

const POLICY_PARTS: readonly Unsupported[] = [
  ...without(NO_PROBES, 'connectionPool.tcp.tcpKeepalive.probes', 'connectionPool.tcp.tcpKeepalive.interval'),
  ...without(
    'Istio reads it no more: consecutive5xxErrors and consecutiveGatewayErrors took its place',
    'outlierDetection.consecutiveErrors',
  ),
];

const below = (prefix: string, parts: readonly Unsupported[]): readonly Unsupported[] =>
  parts.map((part) => ({ ...part, path: `${prefix}.${part.path}` }));

const TRAFFIC_POLICY: readonly Unsupported[] = [
  ...POLICY_PARTS,
  ...below('portLevelSettings.*', POLICY_PARTS),
];

const UNSUPPORTED: { readonly [K in KindName]?: readonly Unsupported[] } = {
  VirtualService: [
    {
      path: 'http.*.redirect.redirectCode',
      values: Array.from({ length: 100 }, (_, index) => 300 + index).filter(
        (code) => ![301, 302, 303, 307, 308].includes(code),
      ),
      because: 'Envoy redirects with 301, 302, 303, 307 and 308 only',
    },
    {
      path: 'http.*.directResponse.body.bytes',
      unless: (text) => isUtf8(Buffer.from(text, 'base64')),
      because: 'bodies of answers are texts in UTF-8',
    },
    ...refused(NOTHING_IN_ISTIO, 'tcp.*.match.*.sourceSubnet'),
  ],
  DestinationRule: [
    ...below('trafficPolicy', TRAFFIC_POLICY),
    ...below('subsets.*.trafficPolicy', TRAFFIC_POLICY),
  ],
  Sidecar: [
    ...without(
      'calls are seen in the process that makes or takes them, without capture and sockets of a proxy',
      'egress.*.bind',
      'egress.*.captureMode',
    ),
    ...without(
      'a member takes connections where its server listens; Envoys follow it',
      'ingress.*.bind',
      'ingress.*.captureMode',
    ),
    ...refused(
      'a server in the process knows the certificates of its clients by their roots alone',
      'ingress.*.tls.verifyCertificateSpki',
      'ingress.*.tls.verifyCertificateHash',
    ),
    ...refused('certificates of a Sidecar come from files', 'ingress.*.tls.caCertCredentialName'),
    {
      path: 'ingress.*.tls.insecureSkipVerify',
      values: [true],
      because: 'a certificate of a client that nobody verifies would prove nothing',
    },
    ...without(
      'a member hands requests to its application without connections between them; Envoys hold theirs to it',
      'ingress.*.connectionPool',
      'inboundConnectionPool',
    ),
  ],
  ServiceEntry: without(ONE_NETWORK, 'endpoints.*.network'),
  ProxyConfig: [
    ...without(ABOUT_PROXIES, 'concurrency', 'image'),
    ...without(
      'nobody starts proxies here; of those that begin with ISTIO_META_, envoyBootstrap makes metadata',
      'environmentVariables',
    ),
  ],
  WorkloadEntry: without(ONE_NETWORK, 'network'),
  WorkloadGroup: [
    ...refused(
      'who writes configuration is trusted with the mesh, not with what runs on its machines: let the command be an httpGet, tcpSocket or grpc of the process',
      'probe.exec',
    ),
    ...without('a member is an endpoint as soon as it passes', 'probe.initialDelaySeconds'),
    ...without('each workload brings its own', 'template.address'),
    ...without(ONE_NETWORK, 'template.network'),
    ...without('no documents are written for workloads that register', 'metadata.annotations'),
  ],
  Telemetry: [
    ...refused("metrics are made in the process, all of them, with Istio's tags", 'metrics'),
    {
      path: 'tracing.*.customTags.*.formatter.value',
      unless: isFormat,
      because: 'there are no such operators here',
    },
    {
      path: 'accessLogging.*.filter.expression',
      unless: isLogFilter,
      because:
        'of CEL only comparisons of response.code, of request.duration and of texts of the request are read',
    },
  ],
  Gateway: [
    {
      path: 'servers.*.tls.mode',
      values: ['AUTO_PASSTHROUGH'],
      because: `it is for calls between networks, and ${ONE_NETWORK}`,
    },
    ...without(NOTHING_IN_ISTIO, 'servers.*.defaultEndpoint', 'servers.*.port.targetPort'),
  ],
};

/** All of a proxy's settings but how it traces. */
const PROXY_FIELDS: readonly string[] = [
  ...Object.keys(meshProxySchema.shape).filter((field) => field !== 'tracing' && field !== 'meshId'),
  ...['zipkin', 'lightstep', 'datadog', 'stackdriver', 'openCensusAgent', 'tlsSettings'].map(
    (field) => `tracing.${field}`,
  ),
];

function isFormat(text: string): boolean {
  try {
    checkFormat(text);
    return true;
  } catch {
    return false;
  }
}

/** What of a MeshConfig is not followed. */
const MESH_CONFIG: readonly Unsupported[] = [
  {
    path: 'inboundTrafficPolicy.mode',
    values: ['LOCALHOST'],
    because: 'a process serves where it listens; Envoys send connections on to loopback',
    isHarmless: true,
  },
  ...refused(
    'hosts that the mesh does not know are called as the application wants',
    'outboundTrafficPolicy.tls',
  ),
  ...refused(
    'the roots of the mesh are those of the certificate authority of the control plane',
    'caCertificates',
    'ca',
    'certificates',
  ),
  ...refused('the control plane reads all namespaces that its sources have', 'discoverySelectors'),
  ...refused('access logs go to files and to what code names', 'enableEnvoyAccessLogService'),
  ...without(NO_PROBES, 'tcpKeepalive.probes', 'tcpKeepalive.interval'),
  ...below('defaultTrafficPolicy', POLICY_PARTS),
  ...without(
    'metrics and logs do not go there',
    ...['prometheus', 'envoyHttpAls', 'envoyTcpAls', 'envoyOtelAls'].map(
      (provider) => `extensionProviders.*.${provider}`,
    ),
  ),
  ...without('SDS is served by the control plane itself', 'extensionProviders.*.sds'),
  ...without(
    'it is for the ambient mode, which there is none of',
    'serviceEntryVisibility.defaultVisibility',
    'serviceEntryVisibility.policies',
  ),
  {
    path: 'serviceEntryVisibility.applyToSidecars',
    values: [true],
    because: 'exportTo says who sees a ServiceEntry',
  },
  ...without(
    'connections to members are not captured; those to Envoys are',
    'proxyInboundListenPort',
    'protocolDetectionTimeout',
  ),
  ...without(
    ABOUT_PROXIES,
    'proxyListenPort',
    'proxyHttpPort',
    'hboneIdleTimeout',
    'disableEnvoyListenerLog',
    'inboundClusterStatName',
    'outboundClusterStatName',
    'enablePrometheusMerge',
    'defaultProviders.metrics',
  ),
  ...without(
    'there are no proxies to be started; envoyBootstrap makes metadata of proxyMetadata that begins with ISTIO_META_',
    ...PROXY_FIELDS.map((field) => `defaultConfig.${field}`),
  ),
  ...refused(
    'no secrets are taken out of the environment of the control plane',
    'extensionProviders.*.zipkin.headers.*.envName',
    'extensionProviders.*.opentelemetry.http.headers.*.envName',
    'extensionProviders.*.opentelemetry.grpc.initialMetadata.*.envName',
    'extensionProviders.*.opentelemetry.dynatraceSampler.httpService.http.headers.*.envName',
  ),
  ...without(NOTHING_IN_ISTIO, 'extensionProviders.*.skywalking.accessToken'),
  ...without(
    'processes of inmesh do not speak its trace headers, so that they make no spans with it; Envoys do',
    'extensionProviders.*.datadog',
    'extensionProviders.*.skywalking',
  ),
  ...without(
    'processes of inmesh sample by what the mesh says and the sampler of their own OpenTelemetry SDK; Envoys by it',
    'extensionProviders.*.opentelemetry.dynatraceSampler',
  ),
  {
    path: 'extensionProviders.*.opentelemetry.serviceAttributeEnrichment',
    values: ['OTEL_SEMANTIC_CONVENTIONS'],
    because: 'spans of a process name their service as the OpenTelemetry SDK of its application does',
    isHarmless: true,
  },
  ...without(
    'Istio makes no spans with it',
    ...['lightstep', 'opencensus', 'stackdriver'].map((one) => `extensionProviders.*.${one}`),
  ),
  ...without(
    ABOUT_KUBERNETES,
    'ingressClass',
    'ingressService',
    'ingressControllerMode',
    'ingressSelector',
    'configSources',
    'serviceSettings',
    'serviceScopeConfigs',
  ),
  ...without(
    'inmesh speaks TLS 1.3 inside of the mesh, and its own choice of suites',
    'meshMTLS',
    'tlsDefaults',
  ),
  ...without('a running control plane has the trust domain of its certificate authority', 'trustDomain'),
  ...without('the certificates of servers are always proved', 'verifyCertificateAtClient'),
];

/** Kinds that are read and checked, but not carried out yet. */
const UNSUPPORTED_WHOLE: ReadonlySet<KindName> = new Set<KindName>(['TrafficExtension']);

/** Kinds that are let pass without effect, and why. */
const WITHOUT_EFFECT: { readonly [K in KindName]?: string } = {
  WasmPlugin: 'no modules are run yet',
};

/** Kinds that are not read yet. */
export const UNSUPPORTED_KINDS: ReadonlySet<string> = new Set([
  'UDPRoute',
  'XListenerSet',
  'XBackend',
  'XBackendTrafficPolicy',
  'XMesh',
]);

/** What of the fields of a kind is not carried out. */
export function unsupportedFields(kind: KindName): readonly Unsupported[] {
  return kind === 'MeshConfig' ? MESH_CONFIG : (UNSUPPORTED[kind] ?? []);
}

/** What of a document inmesh does not carry out. */
export function findUnsupported(document: Document): readonly RuleViolation[] {
  if (isKind(document, 'ConfigMap')) return inConfigMap(document);
  if (isKind(document, 'EnvoyFilter')) return inPatches(document);
  const because = WITHOUT_EFFECT[document.kind];
  if (because !== undefined) return [withoutEffect(`the kind ${document.kind}`, ['kind'], because)];
  if (UNSUPPORTED_WHOLE.has(document.kind)) return [unsupportedKind(document.kind)];
  const forGateways = findForGateways(document);
  const violations: RuleViolation[] = [...apiUnsupported(document)];
  if (isKind(document, 'Sidecar')) violations.push(...elsewhere(document.spec));
  for (const entry of unsupportedFields(document.kind)) {
    for (const [value, at] of valuesAt(document.spec, entry.path.split('.'), ['spec'])) {
      if (isRefused(entry, value)) violations.push(unsupported(document.kind, at, entry, value));
    }
  }
  if (forGateways === undefined) return violations;
  // No member of the mesh relies on it, so the rest of the configuration need not suffer.
  return [forGateways, ...violations.map((one) => ({ ...one, severity: 'warning' as const }))];
}

/** No process of inmesh is a gateway: what is meant for gateways alone is carried out by Envoys. */
function findForGateways(document: Document): RuleViolation | undefined {
  const isGateway = document.kind === 'Gateway';
  const isForGateways = isKind(document, 'VirtualService') && !appliesToMesh(document.spec);
  const own = isGateway ? 'a Gateway' : isForGateways ? 'a VirtualService for gateways only' : undefined;
  const what = own ?? apiForGateways(document);
  if (what === undefined) return undefined;
  return {
    code: 'INMESH_CONFIG_UNSUPPORTED',
    severity: 'warning',
    message: `${what} has an effect on Envoys only: no process of inmesh is a gateway`,
    path: isForGateways ? ['spec', 'gateways'] : ['kind'],
  };
}

/** The refusal of a kind as a whole. */
export function unsupportedKind(kind: string): RuleViolation {
  const message = `inmesh does not carry out the kind ${kind}`;
  return { code: 'INMESH_CONFIG_UNSUPPORTED', severity: 'error', message, path: ['kind'] };
}

/** What of a MeshConfig in a ConfigMap is not followed; it stands at the text that it is in. */
function inConfigMap(document: Document<'ConfigMap'>): readonly RuleViolation[] {
  const value = meshConfigOfConfigMap(document)?.value;
  if (value === undefined) return [];
  return MESH_CONFIG.flatMap((entry) =>
    [...valuesAt(value, entry.path.split('.'), [])]
      .filter(([one]) => isRefused(entry, one))
      .map(([one, at]) => ({
        ...unsupported('MeshConfig', at, entry, one),
        path: ['data', 'mesh'],
        atKey: false,
      })),
  );
}

/** Patches that can't be applied anywhere; where one can't be applied, members are told when they would have it. */
function inPatches(document: Document<'EnvoyFilter'>): readonly RuleViolation[] {
  return patchesOf(document).problems.map(({ index, message }) => ({
    code: 'INMESH_CONFIG_UNSUPPORTED',
    severity: 'error',
    message,
    path: ['spec', 'configPatches', index],
  }));
}

/** Members have no proxy before the application: what comes to a port is for who listens there. */
function* elsewhere({ ingress = [] }: SidecarSpec): Iterable<RuleViolation> {
  for (const [{ port, defaultEndpoint }, at] of entriesOf(ingress, ['spec', 'ingress'])) {
    if (!defaultEndpoint || defaultEndpoint.endsWith(`:${port.number}`)) continue;
    const because = `a member takes requests on the port ${port.number} itself; Envoys send them on`;
    yield withoutEffect('the defaultEndpoint', [...at, 'defaultEndpoint'], because);
  }
}

function isKind<K extends KindName>(document: Document, kind: K): document is Document<K> {
  return document.kind === kind;
}

function isRefused({ values, unless }: Unsupported, value: unknown): boolean {
  if (unless !== undefined) return typeof value === 'string' && !unless(value);
  if (values !== undefined) return values.includes(value);
  return value !== undefined;
}

function withoutEffect(what: string, path: FieldPath, because: string): RuleViolation {
  const message = `${what} has no effect: ${because}`;
  return { code: 'INMESH_CONFIG_UNSUPPORTED', severity: 'warning', message, path, atKey: true };
}

function unsupported(kind: KindName, path: FieldPath, entry: Unsupported, value: unknown): RuleViolation {
  const field = path.findLast((step) => typeof step === 'string');
  const { values, unless, because } = entry;
  const isWhole = values === undefined && unless === undefined;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const shown = value === undefined ? 'left out' : text;
  if (entry.isHarmless === true) return withoutEffect(`${field} of ${kind}`, path, because);
  return {
    code: 'INMESH_CONFIG_UNSUPPORTED',
    severity: 'error',
    message: `inmesh does not carry out ${isWhole ? field : `${field} ${shown}`} of ${kind}: ${because}`,
    path,
    atKey: isWhole,
  };
}
