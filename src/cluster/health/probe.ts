import type { Cluster } from '../../model/cluster.js';
import type { HealthCheck } from '../../model/health-check.js';
import type { Abort } from '../../runtime/abort.js';
import type { Host } from '../host.js';
import type { Transport } from '../transport.js';

/** How one check went. A check that takes too long is ended from outside. */
export type ProbeResult =
  | { readonly kind: 'passed'; readonly degraded: boolean }
  | {
      readonly kind: 'failed';
      readonly failure: 'ACTIVE' | 'NETWORK';
      /** Whether it only counts towards the threshold. */
      readonly isRetriable: boolean;
      /** The answer asked for no traffic (`x-envoy-immediate-health-check-fail`). */
      readonly excludes: boolean;
      readonly message: string;
    };

/** Asks one host for its health, over connections of its own. */
export interface Probe {
  /** Never rejects. */
  run(abort: Abort): Promise<ProbeResult>;
  close(): void;
}

/** What a host is asked with. */
export interface ProbeTarget {
  readonly check: HealthCheck;
  readonly cluster: Cluster;
  readonly host: Host;
  readonly transport: Transport;
}

/** Makes the probe of a host. */
export type OpenProbe = (target: ProbeTarget) => Probe;

/** Nothing came back, or the connection could not be made. */
export function networkFailure(message: string): ProbeResult {
  return { kind: 'failed', failure: 'NETWORK', isRetriable: false, excludes: false, message };
}
