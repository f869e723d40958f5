import { readEmbedded } from '../../kinds/embedded.js';
import { checkProxy } from '../../kinds/mesh-config-rules.js';
import { meshProxySchema } from '../../kinds/mesh-proxy-schema.js';
import { isSubnet } from '../../kinds/names.js';
import { suggest } from '../../schema/suggest.js';
import { formatPath } from '../../schema/violation.js';
import type { Analyzer, Report } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { list, text } from '../plain.js';
import { type AnnotationInfo, ISTIO_ANNOTATIONS, isIstioAnnotation } from './annotation-table.js';

const KINDS = ['Namespace', 'Service', 'Pod', 'Deployment'] as const;

/** Istio: annotations.K8sAnalyzer. */
export const annotationsAnalyzer: Analyzer = {
  name: 'annotations.K8sAnalyzer',
  summary: "Istio's annotations on Kubernetes' kinds",
  codes: ['IST0107', 'IST0108', 'IST0125', 'IST0135'],
  analyze(context, report) {
    for (const kind of KINDS) {
      for (const document of context.list(kind)) checkAnnotations(document, report);
    }
  },
};

/** Istio: annotations.AlphaAnalyzer. */
export const alphaAnalyzer: Analyzer = {
  name: 'maturity.AlphaAnalyzer',
  summary: 'annotations of alpha features',
  codes: ['IST0136'],
  analyze(context, report) {
    for (const kind of KINDS) {
      for (const document of context.list(kind)) {
        for (const name of Object.keys(document.annotations)) {
          if (ISTIO_ANNOTATIONS.get(name)?.isAlpha !== true || isSetByInjector(name, document)) continue;
          report(
            'IST0136',
            document,
            `the annotation ${name} belongs to an alpha feature, which may change`,
            {
              path: ['metadata', 'annotations', name],
              atKey: true,
            },
          );
        }
      }
    }
  },
};

/** What the injector sets by itself on each pod (the last four when CNI sets up the pod's network). */
const SET_BY_CNI: ReadonlySet<string> = new Set([
  'sidecar.istio.io/interceptionMode',
  'traffic.sidecar.istio.io/includeInboundPorts',
  'traffic.sidecar.istio.io/excludeInboundPorts',
  'traffic.sidecar.istio.io/includeOutboundIPRanges',
]);

/** Nobody means to try an alpha feature by these. */
const NOT_CHOSEN: ReadonlySet<string> = new Set([
  'sidecar.istio.io/status',
  'galley.istio.io/analyze-suppress',
]);

function isSetByInjector(name: string, { kind, spec }: AnalysisDocument): boolean {
  if (NOT_CHOSEN.has(name)) return true;
  const hasInit = list(spec, 'initContainers').some((container) => text(container, 'name') === 'istio-init');
  return kind === 'Pod' && !hasInit && SET_BY_CNI.has(name);
}

function checkAnnotations(document: AnalysisDocument, report: Report): void {
  for (const [name, value] of Object.entries(document.annotations)) {
    if (!isIstioAnnotation(name)) continue;
    const path = ['metadata', 'annotations', name];
    const known = ISTIO_ANNOTATIONS.get(name);
    if (known === undefined) {
      const suggestion = suggest(name, ISTIO_ANNOTATIONS.keys());
      report('IST0108', document, `Istio knows no annotation ${name}`, { path, atKey: true, suggestion });
      continue;
    }
    checkDeprecated(name, known, document, report);
    const { kinds } = known;
    if (kinds.includes('Any')) continue;
    if (!kinds.includes(document.kind)) {
      const message = `the annotation ${name} has an effect on ${kinds.join(', ')} only`;
      report('IST0107', document, message, { path, atKey: true });
      continue;
    }
    const problem = VALUES.get(name)?.(value);
    if (problem !== undefined) report('IST0125', document, `the annotation ${name} ${problem}`, { path });
  }
}

function checkDeprecated(
  name: string,
  { isDeprecated }: AnnotationInfo,
  document: AnalysisDocument,
  report: Report,
): void {
  // Who has the label as well knows of it, and keeps both for older releases.
  const isInject = name === 'sidecar.istio.io/inject';
  if (!isDeprecated || (isInject && document.labels[name] !== undefined)) return;
  const instead = isInject ? `; use the label ${name}` : '';
  report('IST0135', document, `the annotation ${name} is deprecated${instead}`, {
    path: ['metadata', 'annotations', name],
    atKey: true,
  });
}

type Check = (value: string) => string | undefined;

const isUint = (value: string, bits: number): boolean => /^\d+$/.test(value) && Number(value) < 2 ** bits;

const uint32: Check = (value) => (isUint(value, 32) ? undefined : 'must be a whole number, not negative');

const ports: Check = (value) =>
  value.trim() === '' || value.split(',').every((one) => isUint(one.trim(), 16))
    ? undefined
    : 'must be ports with commas between them';

const subnets: Check = (value) =>
  value === '' || value.split(',').every((one) => one.includes('/') && isSubnet(one))
    ? undefined
    : 'must be subnets such as 10.0.0.0/8 with commas between them';

const orAll =
  (check: Check): Check =>
  (value) =>
    value === '*' ? undefined : check(value);

/** The settings of a proxy as YAML (Istio: validateProxyConfig). */
const proxySettings: Check = (value) => {
  const { violations } = readEmbedded(value, meshProxySchema, (proxy, report) =>
    checkProxy(proxy, [], report),
  );
  const wrong = violations.find(({ severity }) => severity === 'error');
  if (wrong === undefined) return undefined;
  return `must be a ProxyConfig: ${wrong.path.length === 0 ? '' : `${formatPath(wrong.path)}: `}${wrong.message}`;
};

/** Istio: the checks of its injector. */
const VALUES: ReadonlyMap<string, Check> = new Map<string, Check>([
  [
    'sidecar.istio.io/interceptionMode',
    (value) =>
      ['REDIRECT', 'TPROXY', 'NONE'].includes(value) ? undefined : 'must be REDIRECT, TPROXY or NONE',
  ],
  ['status.sidecar.istio.io/port', (value) => (isUint(value.trim(), 16) ? undefined : 'must be a port')],
  ['readiness.status.sidecar.istio.io/initialDelaySeconds', uint32],
  ['readiness.status.sidecar.istio.io/periodSeconds', uint32],
  ['readiness.status.sidecar.istio.io/failureThreshold', uint32],
  ['traffic.sidecar.istio.io/includeOutboundIPRanges', orAll(subnets)],
  ['traffic.sidecar.istio.io/excludeOutboundIPRanges', subnets],
  ['traffic.sidecar.istio.io/includeInboundPorts', orAll(ports)],
  ['traffic.sidecar.istio.io/excludeInboundPorts', ports],
  ['traffic.sidecar.istio.io/excludeOutboundPorts', ports],
  ['proxy.istio.io/config', proxySettings],
  [
    'prometheus.istio.io/merge-metrics',
    (value) =>
      /^(?:1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/.test(value) ? undefined : 'must be true or false',
  ],
]);
