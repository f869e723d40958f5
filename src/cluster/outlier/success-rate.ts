import type { OutlierDetection } from '../../model/cluster.js';
import type { Host } from '../host.js';
import type { Origin } from './state.js';
import { type DetectorType, NOT_COMPUTED, type SuccessRates } from './stats.js';

/** Envoy: the mean less so many population standard deviations. */
export function successRates(rates: readonly number[], stdevFactor: number): SuccessRates {
  const average = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const variance = rates.reduce((sum, rate) => sum + (rate - average) ** 2, 0) / rates.length;
  return { average, threshold: average - (stdevFactor / 1000) * Math.sqrt(variance) };
}

/** A host that a statistical detector holds for an outlier. */
export interface Outlier {
  readonly host: Host;
  readonly type: DetectorType;
  readonly enforcingPercent: number;
}

/** What the interval that ended says. */
export interface Verdict {
  readonly rates: SuccessRates;
  readonly outliers: readonly Outlier[];
}

const NO_VERDICT: Verdict = { rates: NOT_COMPUTED, outliers: [] };

/**
 * Success rate, then failure percentage, publishing each host's rate on the way. Envoy skips it all, published rates
 * included, when the cluster has too few hosts for either of them.
 */
export function judge(hosts: ReadonlyMap<string, Host>, origin: Origin, config: OutlierDetection): Verdict {
  const { successRate, failurePercentage } = config;
  if (hosts.size < successRate.minimumHosts && hosts.size < failurePercentage.minimumHosts) return NO_VERDICT;
  const busy = publishRates(hosts, origin, config);
  const forSuccessRate = enough(busy, origin, successRate);
  const rates =
    forSuccessRate.length === 0
      ? NOT_COMPUTED
      : successRates(
          forSuccessRate.map((host) => host.outlier[origin].rate),
          successRate.stdevFactor,
        );
  const low = forSuccessRate.filter((host) => host.outlier[origin].rate < rates.threshold);
  const failing = enough(busy, origin, failurePercentage).filter(
    (host) => 100 - host.outlier[origin].rate >= failurePercentage.threshold,
  );
  const suffix = origin === 'local' ? 'LocalOrigin' : '';
  return {
    rates,
    outliers: [
      ...accuse(low, `SuccessRate${suffix}`, enforcing(successRate, origin)),
      ...accuse(failing, `FailurePercentage${suffix}`, enforcing(failurePercentage, origin)),
    ],
  };
}

/** The hosts in service that had enough requests for one of the detectors. */
function publishRates(hosts: ReadonlyMap<string, Host>, origin: Origin, config: OutlierDetection): Host[] {
  const volume = Math.min(config.successRate.requestVolume, config.failurePercentage.requestVolume);
  const busy: Host[] = [];
  for (const host of hosts.values()) {
    const counter = host.outlier[origin];
    const { lastTotal, lastSuccesses } = counter;
    if (host.ejected || lastTotal === 0 || lastTotal < volume) continue;
    counter.rate = (lastSuccesses * 100) / lastTotal;
    busy.push(host);
  }
  return busy;
}

/** Those with enough requests for this detector; nobody when they are too few. */
function enough(busy: readonly Host[], origin: Origin, { minimumHosts, requestVolume }: Judged): Host[] {
  const hosts = busy.filter(({ outlier }) => outlier[origin].lastTotal >= requestVolume);
  return hosts.length >= minimumHosts ? hosts : [];
}

type Judged = OutlierDetection['successRate'] | OutlierDetection['failurePercentage'];

function enforcing({ enforcingPercent, enforcingLocalOriginPercent }: Judged, origin: Origin): number {
  return origin === 'local' ? enforcingLocalOriginPercent : enforcingPercent;
}

function accuse(hosts: readonly Host[], type: DetectorType, enforcingPercent: number): Outlier[] {
  return hosts.map((host) => ({ host, type, enforcingPercent }));
}
