import { suggest } from '../schema/suggest.js';
import type { RuleViolation } from '../schema/violation.js';
import { derived } from './derived.js';
import { coversHost, fullHostName } from './hosts.js';
import { entriesOf } from './report.js';
import type { Destination, VirtualServiceSpec } from './types.js';
import type { ConfigView, Document, FieldPath } from './view.js';

/**
 * Subsets that routes name must be defined: Istio accepts such a route and answers its requests with 503, here it is an
 * error, because nobody means it. Hosts that no document declares are only odd: their workloads may still register.
 */
export function virtualServiceReferences(
  document: Document<'VirtualService'>,
  view: ConfigView,
): readonly RuleViolation[] {
  const violations: RuleViolation[] = [];
  for (const [destination, path] of destinationsOf(document.spec)) {
    const host = fullHostName(destination.host, document.namespace);
    const missing =
      missingSubset(destination, host, path, view) ?? unknownHost(destination, host, path, view);
    if (missing !== undefined) violations.push(missing);
  }
  return violations;
}

interface Routing {
  readonly route?: readonly { readonly destination: Destination }[] | undefined;
}

/** Every destination of a virtual service, with its path. */
function* destinationsOf(spec: VirtualServiceSpec): Iterable<[Destination, FieldPath]> {
  for (const protocol of ['http', 'tls', 'tcp'] as const) {
    for (const [route, path] of entriesOf<Routing>(spec[protocol], ['spec', protocol])) {
      for (const [entry, at] of entriesOf(route.route, [...path, 'route'])) {
        yield [entry.destination, [...at, 'destination']];
      }
    }
  }
  for (const [route, path] of entriesOf(spec.http, ['spec', 'http'])) {
    if (route.mirror !== undefined) yield [route.mirror, [...path, 'mirror']];
    for (const [mirror, at] of entriesOf(route.mirrors, [...path, 'mirrors'])) {
      yield [mirror.destination, [...at, 'destination']];
    }
  }
}

function missingSubset(
  destination: Destination,
  host: string,
  path: FieldPath,
  view: ConfigView,
): RuleViolation | undefined {
  const { subset } = destination;
  if (!subset) return undefined;
  const rules = declaredHosts(view).rules.filter((rule) => coversHost(rule.host, host));
  const names = rules.flatMap((rule) => rule.subsets);
  if (names.includes(subset)) return undefined;
  const reason = rules.length === 0 ? ': the host has no DestinationRule' : '';
  return {
    code: 'INMESH_CONFIG_REFERENCE',
    severity: 'error',
    message: `subset ${JSON.stringify(subset)} of host ${JSON.stringify(destination.host)} is not defined${reason}`,
    path: [...path, 'subset'],
    suggestion: suggest(subset, names),
  };
}

function unknownHost(
  destination: Destination,
  host: string,
  path: FieldPath,
  view: ConfigView,
): RuleViolation | undefined {
  const { services, wildcards, names } = declaredHosts(view);
  // Without any declared service, all services are those that register themselves: nothing to compare with.
  if (services.size + wildcards.length === 0 || services.has(host)) return undefined;
  if (wildcards.some((wildcard) => coversHost(wildcard, host))) return undefined;
  return {
    code: 'INMESH_CONFIG_REFERENCE',
    severity: 'warning',
    message:
      `no Service or ServiceEntry declares the host ${JSON.stringify(destination.host)}; ` +
      'requests to it fail until a workload registers as it',
    path: [...path, 'host'],
    suggestion: suggest(destination.host, names),
  };
}

/** The hosts that the documents of a view declare. */
interface DeclaredHosts {
  readonly rules: readonly { readonly host: string; readonly subsets: readonly string[] }[];
  readonly services: ReadonlySet<string>;
  readonly wildcards: readonly string[];
  /** Short names, to suggest one of. */
  readonly names: readonly string[];
}

const declaredHosts = derived((view): DeclaredHosts => {
  const services = view.list('Service').map((service) => fullHostName(service.name, service.namespace));
  const entries = view
    .list('ServiceEntry')
    .flatMap((entry) => entry.spec.hosts.map((host) => host.toLowerCase()));
  return {
    rules: view.list('DestinationRule').map((rule) => ({
      host: fullHostName(rule.spec.host, rule.namespace),
      subsets: (rule.spec.subsets ?? []).map((subset) => subset.name),
    })),
    services: new Set([...services, ...entries]),
    wildcards: entries.filter((host) => host.startsWith('*')),
    names: view.list('Service').map((service) => service.name),
  };
});
