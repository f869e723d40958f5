import { checkSelector } from './common-rules.js';
import type { Kind } from './kind.js';
import { isPort, ROOT_NAMESPACE } from './names.js';
import { peerAuthenticationSchema } from './peer-authentication-schema.js';
import { createReport } from './report.js';
import type { Document } from './view.js';

/** Istio PeerAuthentication. */
export const peerAuthenticationKind: Kind<'PeerAuthentication'> = {
  name: 'PeerAuthentication',
  apiVersions: ['security.istio.io/v1', 'security.istio.io/v1beta1'],
  schema: peerAuthenticationSchema,
  validate,
};

function validate(document: Document<'PeerAuthentication'>) {
  const report = createReport();
  const { selector, portLevelMtls } = document.spec;
  if (selector !== undefined) checkSelector(selector.matchLabels, ['spec', 'selector'], report);
  if (document.namespace === ROOT_NAMESPACE && hasLabels(selector)) {
    report.warn(['spec', 'selector'], 'with a selector it has no effect in the root namespace (Istio)');
  }
  if (portLevelMtls === undefined) return report.violations;
  const path = ['spec', 'portLevelMtls'];
  const ports = Object.keys(portLevelMtls);
  if (ports.length === 0) report.invalid(path, 'portLevelMtls must name a port');
  if (!hasLabels(selector)) {
    report.invalid(path, 'portLevelMtls is for the workloads of a selector with labels');
  }
  for (const port of ports) {
    if (!/^\d+$/.test(port) || !isPort(Number(port))) {
      report.invalid([...path, port], `${JSON.stringify(port)} is not a port`);
    }
  }
  return report.violations;
}

function hasLabels(selector: Document<'PeerAuthentication'>['spec']['selector']): boolean {
  return Object.keys(selector?.matchLabels ?? {}).length > 0;
}
