import { checkExportTo, checkLabels, checkSelector } from './common-rules.js';
import { credentialPaths, credentialReferences } from './credential-references.js';
import { destinationRuleSchema } from './destination-rule-schema.js';
import type { Kind } from './kind.js';
import { isDnsLabel, isWildcardDnsName } from './names.js';
import { createReport, entriesOf, type Report } from './report.js';
import { checkTrafficPolicy } from './traffic-policy-rules.js';
import { valuesAt } from './values-at.js';
import type { Document } from './view.js';

/** Istio DestinationRule. */
export const destinationRuleKind: Kind<'DestinationRule'> = {
  name: 'DestinationRule',
  apiVersions: ['networking.istio.io/v1', 'networking.istio.io/v1beta1', 'networking.istio.io/v1alpha3'],
  schema: destinationRuleSchema,
  validate,
  references: credentialReferences,
};

const CREDENTIALS = credentialPaths('DestinationRule');

function validate(document: Document<'DestinationRule'>) {
  const report = createReport();
  const { spec, namespace } = document;
  if (!isWildcardDnsName(spec.host)) {
    report.invalid(['spec', 'host'], `${JSON.stringify(spec.host)} is not the host of a service`);
  }
  checkTrafficPolicy(spec.trafficPolicy, ['spec', 'trafficPolicy'], report);
  const seen = new Set<string>();
  for (const [subset, path] of entriesOf(spec.subsets, ['spec', 'subsets'])) {
    const name = JSON.stringify(subset.name);
    if (!isDnsLabel(subset.name)) report.invalid([...path, 'name'], `${name} is not the name of a subset`);
    if (seen.has(subset.name)) report.invalid([...path, 'name'], `the subset ${name} is already defined`);
    seen.add(subset.name);
    checkLabels(subset.labels, [...path, 'labels'], report);
    checkTrafficPolicy(subset.trafficPolicy, [...path, 'trafficPolicy'], report);
  }
  checkCredentials(document, report);
  const exported = (spec.exportTo ?? []).map((name) => (name === '.' ? namespace : name));
  if (spec.workloadSelector !== undefined) {
    checkSelector(spec.workloadSelector.matchLabels, ['spec', 'workloadSelector'], report);
    if (exported.some((name) => name !== namespace)) {
      report.invalid(
        ['spec', 'exportTo'],
        'a DestinationRule with a workloadSelector stays in its own namespace',
      );
    }
  }
  checkExportTo(spec.exportTo, namespace, report);
  return report.violations;
}

/** Istio: roots in a ConfigMap, by `configmap://namespace/name`, are those of the own namespace. */
function checkCredentials({ spec, namespace }: Document<'DestinationRule'>, report: Report): void {
  for (const path of CREDENTIALS) {
    for (const [name, at] of valuesAt(spec, path.split('.'), ['spec'])) {
      const [, owner] = /^configmap:\/\/([^/]*)\//.exec(typeof name === 'string' ? name : '') ?? [];
      if (owner === undefined || owner === namespace) continue;
      report.invalid(at, `a ConfigMap of roots is one of the own namespace, ${namespace}`);
    }
  }
}
