import { checkRegex } from '../common-rules.js';
import type { Kind } from '../kind.js';
import { createReport, entriesOf, type Report } from '../report.js';
import type { Document, FieldPath } from '../view.js';
import { checkBackend, checkHeaderMatches, checkParents, checkUnique } from './common-rules.js';
import { checkFilters } from './filter-rules.js';
import { grpcRouteSchema } from './grpc-route-schema.js';
import { checkSession } from './session-rules.js';
import type { ApiGrpcMatch } from './types.js';

/** Gateway API GRPCRoute. */
export const grpcRouteKind: Kind<'GRPCRoute'> = {
  name: 'GRPCRoute',
  apiVersions: [
    'gateway.networking.k8s.io/v1',
    'gateway.networking.k8s.io/v1beta1',
    'gateway.networking.k8s.io/v1alpha2',
  ],
  schema: grpcRouteSchema,
  validate,
};

const MAX_MATCHES = 128;

function validate({ spec }: Document<'GRPCRoute'>) {
  const report = createReport();
  checkParents(spec.parentRefs, report);
  const path = ['spec', 'rules'];
  checkUnique(spec.rules, path, { keyOf: ({ name }) => name, what: 'name', report });
  const matches = (spec.rules ?? []).reduce((sum, rule) => sum + (rule.matches ?? []).length, 0);
  if (matches > MAX_MATCHES) report.invalid(path, `all rules together have ${MAX_MATCHES} matches at most`);
  for (const [rule, at] of entriesOf(spec.rules, path)) {
    for (const [match, where] of entriesOf(rule.matches, [...at, 'matches']))
      checkMatch(match, where, report);
    checkFilters(rule.filters, [...at, 'filters'], report);
    for (const [backend, where] of entriesOf(rule.backendRefs, [...at, 'backendRefs'])) {
      checkBackend(backend, where, report);
      checkFilters(backend.filters, [...where, 'filters'], report);
    }
    checkSession(rule.sessionPersistence, [...at, 'sessionPersistence'], report);
  }
  return report.violations;
}

const SERVICE = /^\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$/i;
const METHOD = /^[A-Za-z_][A-Za-z_0-9]*$/;

function checkMatch({ method, headers }: ApiGrpcMatch, path: FieldPath, report: Report): void {
  checkHeaderMatches(headers, [...path, 'headers'], report);
  if (method === undefined) return;
  const at = [...path, 'method'];
  if (!method.service && !method.method) report.invalid(at, 'service or method must be given');
  for (const [field, form] of [
    ['service', SERVICE],
    ['method', METHOD],
  ] as const) {
    const value = method[field];
    if (value === undefined) continue;
    if (method.type === 'RegularExpression') checkRegex(value, [...at, field], report);
    else if (!form.test(value))
      report.invalid([...at, field], `${JSON.stringify(value)} is no name of a gRPC ${field}`);
  }
}
