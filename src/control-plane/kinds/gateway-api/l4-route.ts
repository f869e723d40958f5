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
  validate: validateTls,
};

/** The version of TLSRoute that may go without hosts, and have several rules. */
const FIRST_VERSION = 'gateway.networking.k8s.io/v1alpha2';

function validateTls(document: Document<'TLSRoute'>) {
  const found = validate(document);
  if (document.apiVersion === FIRST_VERSION) return found;
  const report = createReport();
  const { hostnames = [], rules } = document.spec;
  if (hostnames.length === 0) report.invalid(['spec'], 'hostnames must name a host');
  if (rules.length > 1) report.invalid(['spec', 'rules', 1], 'a TLSRoute has one rule');
  return [...found, ...report.violations];
}

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
