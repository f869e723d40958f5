import { isUtf8 } from 'node:buffer';
import { patchesOf } from '../compile/envoy-filter/patches.js';
import { isLogFilter } from '../compile/log-filter.js';
import { apiForGateways, apiUnsupported } from '../kinds/gateway-api/unsupported.js';
import { meshConfigOfConfigMap } from '../kinds/mesh-config.js';
import { entriesOf } from '../kinds/report.js';
import type { SidecarSpec } from '../kinds/types.js';
import { valuesAt } from '../kinds/values-at.js';
import type { Document, FieldPath, KindName } from '../kinds/view.js';
import { appliesToMesh } from '../kinds/virtual-service.js';
import type { RuleViolation } from '../schema/violation.js';

// An accepted field is a promise. What stands here is read and checked, but not carried out: it is refused, so that
// nobody relies on it. Whoever carries a field out deletes its line.

interface Unsupported {
  /** Names of fields; `*` stands for every element of a list or map. */
  readonly path: string;
  /** Only these values are refused. */
  readonly values?: readonly unknown[];
  /** Only texts of this form are refused; without `values` and `form`, every value is. */
  readonly form?: RegExp;
  /** Only texts of which this does not hold are refused. */
  readonly unless?: (text: string) => boolean;
  /** Why it is let pass all the same, with a warning; undefined = it is refused. */
  readonly because?: string;
}

const ABOUT_PROXIES = 'it is about proxies and their machines, and there are none here';
const ABOUT_KUBERNETES = 'it is about Kubernetes and how Istio is installed there';

const fields = (...paths: readonly string[]): readonly Unsupported[] => paths.map((path) => ({ path }));

const POLICY_PARTS: readonly Unsupported[] = [
  ...fields(
    // Node lets no more be chosen than when probes begin.
    'connectionPool.tcp.tcpKeepalive.probes',
    'connectionPool.tcp.tcpKeepalive.interval',
    'outlierDetection.consecutiveErrors',
    'outlierDetection.outlierDetectionHttpErrorCodes',
  ),
];

const below = (prefix: string, parts: readonly Unsupported[]): readonly Unsupported[] =>
  parts.map((part) => ({ ...part, path: `${prefix}.${part.path}` }));

const TRAFFIC_POLICY: readonly Unsupported[] = [
  ...POLICY_PARTS,
  ...below('portLevelSettings.*', POLICY_PARTS),
  ...fields('tunnel'),
];

const UNSUPPORTED: { readonly [K in KindName]?: readonly Unsupported[] } = {
  VirtualService: [
    // Envoy redirects with these five only.
    {
      path: 'http.*.redirect.redirectCode',
      values: Array.from({ length: 100 }, (_, index) => 300 + index).filter(
        (code) => ![301, 302, 303, 307, 308].includes(code),
      ),
    },
    // Answers are texts.
    { path: 'http.*.directResponse.body.bytes', unless: (text) => isUtf8(Buffer.from(text, 'base64')) },
    ...fields(
      // Istio reads it and does nothing.
      'tcp.*.match.*.sourceSubnet',
    ),
  ],
  DestinationRule: [
    ...below('trafficPolicy', TRAFFIC_POLICY),
    ...below('subsets.*.trafficPolicy', TRAFFIC_POLICY),
  ],
  Sidecar: [
    ...['egress.*.bind', 'ingress.*.bind', 'egress.*.captureMode', 'ingress.*.captureMode'].map((path) => ({
      path,
      because:
        'calls are seen in the process that makes or takes them, without capture and sockets of a proxy',
    })),
    ...fields(
      // No process of inmesh ends TLS for strangers beside its own, or limits what a proxy in front would.
      'ingress.*.tls',
      'ingress.*.connectionPool',
      'inboundConnectionPool',
    ),
  ],
  ServiceEntry: [...fields('endpoints.*.network')],
  ProxyConfig: [
    ...['concurrency', 'image'].map((path) => ({ path, because: ABOUT_PROXIES })),
    {
      path: 'environmentVariables',
      because: 'nobody starts proxies here; of those that begin with ISTIO_META_, envoyBootstrap makes metadata',
    },
  ],
  WorkloadEntry: fields('network'),
  WorkloadGroup: fields('probe', 'template.address', 'template.network', 'metadata.annotations'),
  Telemetry: [
    // Spans and metrics are made in the process, by its own options.
    ...fields('tracing', 'metrics'),
    { path: 'accessLogging.*.filter.expression', unless: isLogFilter },
  ],
  Gateway: [
    // It is compiled as PASSTHROUGH: no route is made of Istio's SNI (outbound_.80_._.host).
    { path: 'servers.*.tls.mode', values: ['AUTO_PASSTHROUGH'] },
    ...fields('servers.*.defaultEndpoint', 'servers.*.port.targetPort', 'servers.*.tls.insecureSkipVerify'),
  ],
};


function without(because: string, ...paths: readonly string[]): readonly Unsupported[] {
  return paths.map((path) => ({ path, because }));
}

/** What of a MeshConfig is not followed. */
const MESH_CONFIG: readonly Unsupported[] = [
  { path: 'inboundTrafficPolicy.mode', values: ['LOCALHOST'] },
  ...fields(
    'outboundTrafficPolicy.tls',
    'caCertificates',
    'tcpKeepalive.probes',
    'tcpKeepalive.interval',
    'discoverySelectors',
    'ca',
    'certificates',
    'enableEnvoyAccessLogService',
    ...below('defaultTrafficPolicy', POLICY_PARTS).map(({ path }) => path),
  ),
  { path: 'serviceEntryVisibility.applyToSidecars', values: [true] },
  ...without(
    ABOUT_PROXIES,
    'proxyListenPort',
    'proxyInboundListenPort',
    'proxyHttpPort',
    'hboneIdleTimeout',
    'protocolDetectionTimeout',
    'disableEnvoyListenerLog',
    'defaultConfig',
    'inboundClusterStatName',
    'outboundClusterStatName',
    'enablePrometheusMerge',
    'enableTracing',
    'defaultProviders.tracing',
    'defaultProviders.metrics',
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
  const entries = document.kind === 'MeshConfig' ? MESH_CONFIG : (UNSUPPORTED[document.kind] ?? []);
  for (const entry of entries) {
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
  const message = `inmesh does not carry out the kind ${kind} yet`;
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

/** No proxy stands before the application: what comes to a port is for who listens there. */
function* elsewhere({ ingress = [] }: SidecarSpec): Iterable<RuleViolation> {
  for (const [{ port, defaultEndpoint }, at] of entriesOf(ingress, ['spec', 'ingress'])) {
    if (!defaultEndpoint || defaultEndpoint.endsWith(`:${port.number}`)) continue;
    yield {
      code: 'INMESH_CONFIG_UNSUPPORTED',
      severity: 'error',
      message: `the defaultEndpoint must have the port ${port.number}: no proxy sends requests on to another`,
      path: [...at, 'defaultEndpoint'],
    };
  }
}

function isKind<K extends KindName>(document: Document, kind: K): document is Document<K> {
  return document.kind === kind;
}

function isRefused({ values, form, unless }: Unsupported, value: unknown): boolean {
  if (unless !== undefined) return typeof value === 'string' && !unless(value);
  if (values !== undefined) return values.includes(value);
  if (form !== undefined) return typeof value === 'string' && form.test(value);
  return value !== undefined;
}

function withoutEffect(what: string, path: FieldPath, because: string): RuleViolation {
  const message = `${what} has no effect: ${because}`;
  return { code: 'INMESH_CONFIG_UNSUPPORTED', severity: 'warning', message, path, atKey: true };
}

function unsupported(kind: KindName, path: FieldPath, entry: Unsupported, value: unknown): RuleViolation {
  const field = path.findLast((step) => typeof step === 'string');
  const { values, form, unless } = entry;
  const isWhole = values === undefined && form === undefined && unless === undefined;
  const shown = typeof value === 'string' ? value : 'left out';
  if (entry.because !== undefined) return withoutEffect(`${field} of ${kind}`, path, entry.because);
  return {
    code: 'INMESH_CONFIG_UNSUPPORTED',
    severity: 'error',
    message: `inmesh does not carry out ${isWhole ? field : `${field} ${shown}`} of ${kind} yet`,
    path,
    atKey: isWhole,
  };
}
