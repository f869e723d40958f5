import type { Kind } from '../kind.js';
import { createReport, entriesOf, type Report } from '../report.js';
import type { Document, FieldPath } from '../view.js';
import { backendTlsPolicySchema, referenceGrantSchema } from './policy-schema.js';

/** Gateway API ReferenceGrant: lets objects of another namespace refer to those of its own. */
export const referenceGrantKind: Kind<'ReferenceGrant'> = {
  name: 'ReferenceGrant',
  apiVersions: [
    'gateway.networking.k8s.io/v1',
    'gateway.networking.k8s.io/v1beta1',
    'gateway.networking.k8s.io/v1alpha2',
  ],
  schema: referenceGrantSchema,
  validate: () => [],
};

/** Gateway API BackendTLSPolicy: connections to a Service are TLS. */
export const backendTlsPolicyKind: Kind<'BackendTLSPolicy'> = {
  name: 'BackendTLSPolicy',
  apiVersions: ['gateway.networking.k8s.io/v1', 'gateway.networking.k8s.io/v1alpha3'],
  schema: backendTlsPolicySchema,
  validate,
};

type Spec = Document<'BackendTLSPolicy'>['spec'];

function validate({ spec }: Document<'BackendTLSPolicy'>) {
  const report = createReport();
  const path = ['spec', 'validation'];
  const { caCertificateRefs = [], wellKnownCACertificates = '', subjectAltNames } = spec.validation;
  if (caCertificateRefs.length > 0 && wellKnownCACertificates !== '')
    report.invalid(path, 'caCertificateRefs and wellKnownCACertificates exclude each other');
  if (caCertificateRefs.length === 0 && wellKnownCACertificates === '')
    report.invalid(path, 'caCertificateRefs or wellKnownCACertificates must be given');
  for (const [name, at] of entriesOf(subjectAltNames, [...path, 'subjectAltNames']))
    checkName(name, at, report);
  checkTargets(spec.targetRefs, report);
  return report.violations;
}

function checkName(
  name: NonNullable<Spec['validation']['subjectAltNames']>[number],
  path: FieldPath,
  report: Report,
): void {
  for (const [type, field] of [
    ['Hostname', 'hostname'],
    ['URI', 'uri'],
  ] as const) {
    if (name.type === type && !name[field]) report.invalid(path, `a name of the type ${type} needs ${field}`);
    if (name.type !== type && name[field])
      report.invalid([...path, field], `${field} is for the type ${type} only`);
  }
}

function checkTargets(targets: Spec['targetRefs'], report: Report): void {
  const seen = new Map<string, string[]>();
  for (const [{ group, kind, name, sectionName = '' }, at] of entriesOf(targets, ['spec', 'targetRefs'])) {
    const key = `${group}/${kind}/${name}`;
    const others = seen.get(key) ?? [];
    if (others.includes(sectionName)) report.invalid(at, 'the same target is named twice');
    else if (others.length > 0 && (sectionName === '' || others.includes('')))
      report.invalid(at, 'sectionName must be given where the same target is named twice');
    seen.set(key, [...others, sectionName]);
  }
}
