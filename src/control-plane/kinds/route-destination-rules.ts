import { checkHeaderOperations } from './header-rules.js';
import { isDnsLabel, isWildcardDnsName } from './names.js';
import { entriesOf, type Report } from './report.js';
import type { Destination, HttpRouteDestination } from './types.js';
import type { FieldPath } from './view.js';

type WeightedDestination = Pick<HttpRouteDestination, 'destination' | 'weight'> &
  Partial<HttpRouteDestination>;

/** The destinations of a route and their weights (Istio: validateRouteDestinations). */
export function checkDestinations(
  route: readonly WeightedDestination[] | undefined,
  path: FieldPath,
  report: Report,
): void {
  const destinations = route ?? [];
  if (destinations.length === 0) report.invalid(path, 'the route needs a destination');
  let total = 0;
  for (const [entry, at] of entriesOf(destinations, [...path, 'route'])) {
    checkDestination(entry.destination, [...at, 'destination'], report);
    checkHeaderOperations(entry.headers, [...at, 'headers'], report);
    total += entry.weight ?? 0;
  }
  if (destinations.length > 1 && total === 0) {
    report.invalid([...path, 'route'], 'the weights of several destinations must not all be 0');
  }
}

/** Istio Destination. */
export function checkDestination(destination: Destination, path: FieldPath, report: Report): void {
  const { host, subset } = destination;
  if (host === '*' || !isWildcardDnsName(host)) {
    report.invalid([...path, 'host'], `${JSON.stringify(host)} is not the host of a service`);
  }
  if (subset && !isDnsLabel(subset)) {
    report.invalid([...path, 'subset'], `${JSON.stringify(subset)} is not the name of a subset`);
  }
}
