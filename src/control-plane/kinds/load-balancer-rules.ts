import { entriesOf, fieldsOf, type Report } from './report.js';
import type { LoadBalancerSettings } from './types.js';
import type { FieldPath } from './view.js';

const MAX_MAGLEV_TABLE = 5_000_011;
const HASH_KEYS = ['httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName'];

/** Istio LoadBalancerSettings (Istio: validateLoadBalancer). */
export function checkLoadBalancer(
  settings: LoadBalancerSettings | undefined,
  path: FieldPath,
  report: Report,
): void {
  if (settings === undefined) return;
  const { simple, consistentHash, localityLbSetting: locality, zoneAwareLbSetting: zone } = settings;
  if (simple !== undefined && consistentHash !== undefined) {
    report.invalid([...path, 'consistentHash'], 'give either simple or consistentHash');
  }
  if (consistentHash !== undefined) checkHash(consistentHash, [...path, 'consistentHash'], report);
  if (locality !== undefined && zone !== undefined) {
    report.invalid([...path, 'zoneAwareLbSetting'], 'give either localityLbSetting or zoneAwareLbSetting');
  }
  if (locality !== undefined) checkLocality(locality, [...path, 'localityLbSetting'], report);
  checkFailover(zone?.failover, [...path, 'zoneAwareLbSetting', 'failover'], report);
  const { minimumPercent = 0, aggression } = settings.warmup ?? {};
  if (minimumPercent > 100) {
    report.invalid([...path, 'warmup', 'minimumPercent'], 'minimumPercent must be at most 100');
  }
  if (aggression !== undefined && aggression < 1) {
    report.invalid([...path, 'warmup', 'aggression'], 'aggression must be at least 1');
  }
  if (settings.warmup !== undefined && settings.warmupDurationSecs !== undefined) {
    report.invalid([...path, 'warmupDurationSecs'], 'give either warmup or (deprecated) warmupDurationSecs');
  }
}

type ConsistentHash = NonNullable<LoadBalancerSettings['consistentHash']>;

function checkHash(hash: ConsistentHash, path: FieldPath, report: Report): void {
  const keys = fieldsOf(hash).filter((field) => HASH_KEYS.includes(field));
  const [, second] = keys;
  if (second !== undefined) report.invalid([...path, second], `give only one of ${keys.join(', ')}`);
  if (hash.ringHash !== undefined && hash.maglev !== undefined) {
    report.invalid([...path, 'maglev'], 'give either ringHash or maglev');
  }
  const cookie = hash.httpCookie;
  const at = [...path, 'httpCookie'];
  if (cookie?.name === '') report.invalid([...at, 'name'], 'a cookie needs a name');
  if (cookie?.ttl !== undefined && cookie.ttl < 0) report.invalid([...at, 'ttl'], 'ttl must not be negative');
  for (const [attribute, where] of entriesOf(cookie?.attributes, [...at, 'attributes'])) {
    if (attribute.name === '') report.invalid([...where, 'name'], 'the attribute of a cookie needs a name');
  }
  checkSizes(hash, path, report);
}

function checkSizes(
  { maglev, ringHash, minimumRingSize = 0 }: ConsistentHash,
  path: FieldPath,
  report: Report,
): void {
  if (minimumRingSize > 0) {
    report.warn([...path, 'minimumRingSize'], 'minimumRingSize is deprecated: use that of ringHash');
    if (maglev !== undefined || ringHash !== undefined) {
      report.invalid([...path, 'minimumRingSize'], 'give either minimumRingSize or ringHash or maglev');
    }
  }
  // Left out it is 65537, as its documentation says.
  const { tableSize = 0 } = maglev ?? {};
  if (tableSize === 0 || (tableSize < MAX_MAGLEV_TABLE && isPrime(tableSize))) return;
  report.invalid([...path, 'maglev', 'tableSize'], `tableSize must be a prime below ${MAX_MAGLEV_TABLE}`);
}

function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}

/** What a failover by region is about, as labels. */
const LOCALITY_LABELS: ReadonlySet<string> = new Set([
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
]);

type Locality = NonNullable<LoadBalancerSettings['localityLbSetting']>;

/** Istio LocalityLoadBalancerSetting (Istio: ValidateLocalityLbSetting). */
export function checkLocality(setting: Locality, path: FieldPath, report: Report): void {
  const { distribute = [], failover = [], failoverPriority = [] } = setting;
  if (distribute.length > 0 && failover.length > 0) {
    report.invalid([...path, 'distribute'], 'give either distribute or failover');
  }
  for (const [label, at] of entriesOf(failoverPriority, [...path, 'failoverPriority'])) {
    if (failover.length === 0 || !LOCALITY_LABELS.has(label)) continue;
    report.invalid(at, `${label} contradicts failover, which says it already`);
  }
  const sources: string[] = [];
  for (const [entry, at] of entriesOf(distribute, [...path, 'distribute'])) {
    const { from = '', to = {} } = entry;
    checkOverlap(from, sources, [...at, 'from'], report, true);
    const targets: string[] = [];
    let total = 0;
    for (const [locality, weight] of Object.entries(to)) {
      checkOverlap(locality, targets, [...at, 'to', locality], report);
      if (weight <= 0 || weight > 100)
        report.invalid([...at, 'to', locality], 'a weight must be from 1 to 100');
      total += weight;
    }
    if (total !== 100) report.invalid([...at, 'to'], `the weights must add up to 100, not ${total}`);
  }
  checkFailover(failover, [...path, 'failover'], report);
}

/** Of localities in order, the first that fits is taken: only one that never comes to it is a mistake. */
function checkOverlap(
  locality: string,
  seen: string[],
  path: FieldPath,
  report: Report,
  isOrdered = false,
): void {
  if (locality === '' || /\*.|^\/|\/\/|\/$/.test(locality)) {
    report.invalid(path, `${JSON.stringify(locality)} is not a locality (region/zone/subzone)`);
  }
  const own = withoutWildcard(locality);
  const other = seen.find(
    (one) => isWithin(own, withoutWildcard(one)) || (!isOrdered && isWithin(withoutWildcard(one), own)),
  );
  if (other !== undefined) report.invalid(path, `overlaps with ${JSON.stringify(other)}`);
  seen.push(locality);
}

function withoutWildcard(locality: string): string {
  return locality.replace(/\/?\*$/, '');
}

function isWithin(inner: string, outer: string): boolean {
  return outer === '' || inner === outer || inner.startsWith(`${outer}/`);
}

function checkFailover(failover: Locality['failover'], path: FieldPath, report: Report): void {
  for (const [{ from = '', to = '' }, at] of entriesOf(failover, path)) {
    if (from === to) report.invalid(at, 'from and to must be two regions');
    for (const [field, region] of [
      ['from', from],
      ['to', to],
    ] as const) {
      if (/[/*]/.test(region)) report.invalid([...at, field], `${JSON.stringify(region)} is not a region`);
    }
  }
}
