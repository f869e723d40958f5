import { createReport } from './report.js';
import type { Document } from './view.js';

const DRY_RUN = 'istio.io/dry-run';
const REFUSED = [
  'internal.istio.io/parents',
  'internal.istio.io/parent-namespace',
  'internal.istio.io/webhook-always-reject',
];

/** What Istio's webhook refuses by annotations, of whatever kind (Istio: validateMetadata). */
export function checkMetadata({ kind, apiVersion, annotations }: Document) {
  const report = createReport();
  if (!apiVersion.includes('istio.io/')) return report.violations;
  if (
    annotations[DRY_RUN] !== undefined &&
    kind !== 'AuthorizationPolicy' &&
    kind !== 'RequestAuthentication'
  ) {
    report.invalid(['metadata', 'annotations', DRY_RUN], `a ${kind} can't be tried with ${DRY_RUN}`);
  }
  for (const name of REFUSED) {
    if (annotations[name] === undefined) continue;
    report.invalid(['metadata', 'annotations', name], `${name} is Istio's own annotation; leave it out`);
  }
  return report.violations;
}
