import type { RuleViolation } from '../schema/violation.js';
import { valuesAt } from './values-at.js';
import type { ConfigView, Document } from './view.js';

const PATHS: Readonly<Record<'DestinationRule' | 'Gateway', readonly string[]>> = {
  DestinationRule: ['trafficPolicy', 'trafficPolicy.portLevelSettings.*', 'subsets.*.trafficPolicy'].map(
    (policy) => `${policy}.tls.credentialName`,
  ),
  Gateway: [
    'servers.*.tls.credentialName',
    'servers.*.tls.credentialNames.*',
    'servers.*.tls.caCertCredentialName',
  ],
};

/** Where a document of the kind names what holds keys and certificates. */
export function credentialPaths(kind: 'DestinationRule' | 'Gateway'): readonly string[] {
  return PATHS[kind];
}

/**
 * A `credentialName` for which there is no Secret is odd, but no error: the Secret is looked for where clients and
 * gateways are, and may come later. Connections that need it are not made until then.
 */
export function credentialReferences(
  document: Document<'DestinationRule'> | Document<'Gateway'>,
  view: ConfigView,
): readonly RuleViolation[] {
  const known = new Set(view.list('Secret').map(({ name }) => name));
  const violations: RuleViolation[] = [];
  for (const path of PATHS[document.kind]) {
    for (const [name, at] of valuesAt(document.spec, path.split('.'), ['spec'])) {
      if (typeof name !== 'string' || name === '' || known.has(name) || known.has(`${name}-cacert`)) continue;
      violations.push({
        code: 'INMESH_CONFIG_REFERENCE',
        severity: 'warning',
        message: `there is no Secret ${JSON.stringify(name)}`,
        path: at,
      });
    }
  }
  return violations;
}
