import type { RuleViolation } from '../../schema/violation.js';
import { valuesAt } from '../values-at.js';
import type { Document, FieldPath, KindName } from '../view.js';
import { isGatewayParent } from './common-rules.js';

// An accepted field is a promise: what of the Gateway API is not carried out is refused.

const ROUTE = ['rules.*.sessionPersistence.idleTimeout'] as const;

const FIELDS: { readonly [K in KindName]?: readonly string[] } = {
  HTTPRoute: ROUTE,
  GRPCRoute: ROUTE,
  'Gateway.gateway.networking.k8s.io': [
    'listeners.*.tls.options',
    'infrastructure.labels',
    'infrastructure.annotations',
  ],
  ListenerSet: ['listeners.*.tls.options'],
  BackendTLSPolicy: ['options'],
};

/** What of a document of the Gateway API is not carried out. */
export function apiUnsupported(document: Document): readonly RuleViolation[] {
  const found: RuleViolation[] = [];
  for (const path of FIELDS[document.kind] ?? []) {
    for (const [value, at] of valuesAt(document.spec, path.split('.'), ['spec'])) {
      if (value !== undefined) found.push(refusal(`${at.at(-1)} of ${document.kind}`, at));
    }
  }
  return [...found, ...answeringFilters(document), ...sessionsWithoutEnd(document)];
}

/** Gateway API: a rule with a filter that is not known answers with an error, so that such a route is accepted. */
function* answeringFilters({ kind, spec }: Document): Iterable<RuleViolation> {
  if (kind !== 'HTTPRoute' && kind !== 'GRPCRoute') return;
  for (const filter of ['extensionRef', 'externalAuth']) {
    for (const list of ['rules.*.filters.*', 'rules.*.backendRefs.*.filters.*']) {
      for (const [value, path] of valuesAt(spec, `${list}.${filter}`.split('.'), ['spec'])) {
        if (value === undefined) continue;
        const message = `inmesh does not carry out ${filter} of ${kind} yet: what it is for is answered with 500`;
        yield { code: 'INMESH_CONFIG_UNSUPPORTED', severity: 'warning', message, path, atKey: true };
      }
    }
  }
}

/** Only a permanent cookie can carry its end. */
function* sessionsWithoutEnd(document: Document): Iterable<RuleViolation> {
  if (document.kind !== 'HTTPRoute' && document.kind !== 'GRPCRoute') return;
  // The document is of one of the two kinds, whose rules agree in what is read of them here.
  const { rules = [] } = (document as Document<'HTTPRoute' | 'GRPCRoute'>).spec;
  for (const [index, { sessionPersistence }] of rules.entries()) {
    const { absoluteTimeout, cookieConfig } = sessionPersistence ?? {};
    if (absoluteTimeout === undefined || cookieConfig?.lifetimeType === 'Permanent') continue;
    yield refusal('absoluteTimeout without a permanent cookie', [
      'spec',
      'rules',
      index,
      'sessionPersistence',
      'absoluteTimeout',
    ]);
  }
}

function refusal(what: string, path: FieldPath): RuleViolation {
  return {
    code: 'INMESH_CONFIG_UNSUPPORTED',
    severity: 'error',
    message: `inmesh does not carry out ${what} yet`,
    path,
    atKey: true,
  };
}

/** What a document of the Gateway API is that is for gateways alone; undefined = members of the mesh follow it, too. */
export function apiForGateways(document: Document): string | undefined {
  switch (document.kind) {
    case 'Gateway.gateway.networking.k8s.io':
      return 'a Gateway';
    case 'ListenerSet':
      return 'a ListenerSet';
    case 'HTTPRoute':
    case 'GRPCRoute':
    case 'TLSRoute':
    case 'TCPRoute': {
      // The document is of one of these kinds, all of which have parents.
      const { parentRefs = [] } = (document as Document<'HTTPRoute' | 'GRPCRoute' | 'TLSRoute' | 'TCPRoute'>)
        .spec;
      const isForGateways = parentRefs.length > 0 && parentRefs.every(isGatewayParent);
      return isForGateways ? `a ${document.kind} for gateways only` : undefined;
    }
    default:
      return undefined;
  }
}
