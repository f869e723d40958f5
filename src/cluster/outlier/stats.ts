/** Envoy's names of the detectors. */
export type DetectorType =
  | 'Consecutive5xx'
  | 'ConsecutiveGatewayFailure'
  | 'ConsecutiveLocalOriginFailure'
  | 'SuccessRate'
  | 'SuccessRateLocalOrigin'
  | 'FailurePercentage'
  | 'FailurePercentageLocalOrigin';

/** A detector, or the detection of degraded hosts, which ejects nobody. */
export type DetectionType = DetectorType | 'Degraded';

/** Mean success rate of a cluster and the rate below which a host is an outlier; Envoy: -1 when not computed. */
export interface SuccessRates {
  readonly average: number;
  readonly threshold: number;
}

export const NOT_COMPUTED: SuccessRates = { average: -1, threshold: -1 };

/** State of the outlier detection of one cluster (Envoy `outlier_detection.*`). */
export interface OutlierStats {
  /** Hosts that are out now. */
  readonly ejectionsActive: number;
  /** Ejections that the percentage did not allow. */
  readonly ejectionsOverflow: number;
  /** By detector: how often it fired. */
  readonly detected: Readonly<Partial<Record<DetectionType, number>>>;
  /** By detector: how often a host was ejected for it. */
  readonly enforced: Readonly<Partial<Record<DetectorType, number>>>;
  /** Of the answers of the hosts; -1 when the last interval was too quiet, or there are too few hosts. */
  readonly successRate: SuccessRates;
  /** Of connections and timeouts; computed only when they are told apart from answers. */
  readonly localOriginSuccessRate: SuccessRates;
}

/** Counts what a detector does. */
export class OutlierCounts {
  overflow = 0;
  readonly detected: Partial<Record<DetectionType, number>> = {};
  readonly enforced: Partial<Record<DetectorType, number>> = {};
  external: SuccessRates = NOT_COMPUTED;
  local: SuccessRates = NOT_COMPUTED;

  countDetected(type: DetectionType): void {
    this.detected[type] = (this.detected[type] ?? 0) + 1;
  }

  countEnforced(type: DetectorType): void {
    this.enforced[type] = (this.enforced[type] ?? 0) + 1;
  }

  snapshot(ejectionsActive: number): OutlierStats {
    return {
      ejectionsActive,
      ejectionsOverflow: this.overflow,
      detected: { ...this.detected },
      enforced: { ...this.enforced },
      successRate: this.external,
      localOriginSuccessRate: this.local,
    };
  }
}
