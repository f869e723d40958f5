import type { Kind } from '../kind.js';
import { createReport, entriesOf } from '../report.js';
import type { Document } from '../view.js';
import { checkBackend, checkParents, checkUnique } from './common-rules.js';
import { tcpRouteSchema, tlsRouteSchema } from './l4-route-schema.js';

/** Gateway API TCPRoute. */
export const tcpRouteKind: Kind<'TCPRoute'> = {
  name: 'TCPRoute',
  apiVersions: ['gateway.networking.k8s.io/v1', 'gateway.networking.k8s.io/v1alpha2'],
  schema: tcpRouteSchema,
  validate,
};

/** Gateway API TLSRoute. */
export const tlsRouteKind: Kind<'TLSRoute'> = {
  name: 'TLSRoute',
  apiVersions: [
    'gateway.networking.k8s.io/v1',
    'gateway.networking.k8s.io/v1alpha3',
    'gateway.networking.k8s.io/v1alpha2',
  ],
  schema: tlsRouteSchema,
  validate,
};

function validate({ spec }: Document<'TCPRoute'> | Document<'TLSRoute'>) {
  const report = createReport();
  checkParents(spec.parentRefs, report);
  checkUnique(spec.rules, ['spec', 'rules'], { keyOf: ({ name }) => name, what: 'name', report });
  for (const [rule, path] of entriesOf(spec.rules, ['spec', 'rules'])) {
    for (const [backend, at] of entriesOf(rule.backendRefs, [...path, 'backendRefs']))
      checkBackend(backend, at, report);
  }
  if ('hostnames' in spec) {
    for (const [name, at] of entriesOf(spec.hostnames, ['spec', 'hostnames'])) {
      if (/^\d+(?:\.\d+){3}$/.test(name)) report.invalid(at, 'SNI names hosts, not addresses (RFC 6066)');
    }
  }
  return report.violations;
}
