import { type Analyzer, GATEWAY_API } from '../analyzer.js';
import { labelsAt, list, map } from '../plain.js';
import { selects } from '../selectors.js';

const GATEWAY_NAME = `${GATEWAY_API}/gateway-name`;
const POLICIES = ['AuthorizationPolicy', 'RequestAuthentication', 'Telemetry', 'WasmPlugin'];

/** Istio: k8sgateway.SelectorAnalyzer. */
export const gatewaySelectorAnalyzer: Analyzer = {
  name: 'k8sgateway.SelectorAnalyzer',
  summary: 'policies that select gateways of the Gateway API by labels',
  codes: ['IST0166'],
  analyze(context, report) {
    const pods = context.list('Pod').filter(({ labels }) => labels[GATEWAY_NAME] !== undefined);
    for (const kind of POLICIES) {
      for (const policy of context.list(kind)) {
        const selector = map(policy.spec, 'selector');
        const hasTarget =
          map(policy.spec, 'targetRef') !== undefined || list(policy.spec, 'targetRefs').length > 0;
        if (selector === undefined || hasTarget) continue;
        const labels = labelsAt(selector, 'matchLabels');
        const selected = pods.filter(
          (one) => one.namespace === policy.namespace && selects(labels, one.labels),
        );
        for (const gateway of new Set(selected.map((pod) => pod.labels[GATEWAY_NAME]))) {
          const message = `a selector has no effect on the gateway ${gateway}: name it in targetRefs`;
          report('IST0166', policy, message, { path: ['spec', 'selector'], atKey: true });
        }
      }
    }
  },
};

/** The versions of the Gateway API from which Istio reads a kind. */
const MINIMUM: ReadonlyMap<string, readonly [number, number, number]> = new Map([
  [`grpcroutes.${GATEWAY_API}`, [1, 1, 0] as const],
  [`backendtlspolicies.${GATEWAY_API}`, [1, 4, 0] as const],
  [`tlsroutes.${GATEWAY_API}`, [1, 5, 0] as const],
]);

/** Istio: k8sgateway.CRDVersionAnalyzer. */
export const gatewayVersionAnalyzer: Analyzer = {
  name: 'k8sgateway.CRDVersionAnalyzer',
  summary: 'definitions of the Gateway API that are too old',
  codes: ['IST0176'],
  analyze(context, report) {
    for (const document of context.list('CustomResourceDefinition')) {
      const minimum = MINIMUM.get(document.name);
      const annotation = `${GATEWAY_API}/bundle-version`;
      const version = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:[-+].*)?$/.exec(
        document.annotations[annotation] ?? '',
      );
      if (minimum === undefined || version === null) continue;
      const installed = version.slice(1, 4).map((part) => Number(part ?? 0));
      const difference = installed
        .map((part, index) => part - (minimum[index] ?? 0))
        .find((one) => one !== 0);
      if ((difference ?? 0) >= 0) continue;
      const message = `it is of version ${installed.join('.')}; documents of its kind are read from ${minimum.join('.')} on`;
      report('IST0176', document, message, { path: ['metadata', 'annotations', annotation] });
    }
  },
};
