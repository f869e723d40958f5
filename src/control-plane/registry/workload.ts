import { isIP } from 'node:net';
import type { Locality } from '../../model/endpoint.js';
import { isNowhere, localityOfLabels } from '../../model/locality.js';
import { MeshError } from '../../runtime/errors.js';

/** One served port of one running process: what becomes an endpoint. */
export interface Workload {
  /** Who registered it: a node id, or the id given to the admin API. */
  readonly owner: string;
  /** Short service name. */
  readonly service: string;
  readonly namespace: string;
  /** May be empty. */
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly address: string;
  readonly port: number;
  /** Name of the service's port that it implements; empty when the service has one port only. */
  readonly portName: string;
  readonly locality: Locality;
  /** Empty when it did not say: the Deployment's, else `default`. */
  readonly serviceAccount: string;
  /** `istio` when it accepts mesh mTLS, `disabled` when it speaks plaintext only. */
  readonly tlsMode: 'istio' | 'disabled';
  /** What it speaks, when it is not HTTP of any kind; empty = nothing says. */
  readonly protocol: 'tcp' | 'grpc' | '';
  /** At least 1. */
  readonly weight: number;
  /** The cluster that it runs in, for telemetry. */
  readonly clusterId: string;
  /** The WorkloadGroup that it says it is of; undefined = it names none. */
  readonly group?: string | undefined;
  /** What it says of its health; undefined = nothing, and it counts as healthy unless its group has a probe. */
  readonly health?: WorkloadHealth | undefined;
  /** For all ports of its group, which are in the group's template: it named no port of its own. */
  readonly isMember?: true | undefined;
  /** With `isMember`: its port by the name of a service's port. */
  readonly ports?: Readonly<Record<string, number>> | undefined;
}

/** The word of a node on itself. */
export type WorkloadHealth = 'healthy' | 'unhealthy';

/** Istio's name of the cluster where nobody gave it another. */
export const DEFAULT_CLUSTER_ID = 'Kubernetes';

/** What a registration has to say; the rest has defaults. */
export interface WorkloadInput {
  readonly service: string;
  readonly namespace?: string | undefined;
  readonly version?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly address: string;
  readonly port: number;
  readonly portName?: string | undefined;
  readonly locality?: Locality | undefined;
  readonly serviceAccount?: string | undefined;
  readonly tlsMode?: 'istio' | 'disabled' | undefined;
  readonly protocol?: 'tcp' | 'grpc' | undefined;
  readonly weight?: number | undefined;
  readonly clusterId?: string | undefined;
  readonly group?: string | undefined;
  readonly health?: WorkloadHealth | undefined;
  readonly isMember?: true | undefined;
}

/** Members of a group are registered under a name that no service has. */
const MEMBERS = '.workloadgroup';

/** What the members of a group are registered under. */
export function membersOf(group: string): string {
  return `${group}${MEMBERS}`;
}

const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/**
 * Checks a registration and fills in its defaults.
 * @throws MeshError `INMESH_OPTION_INVALID` that names the field.
 */
export function createWorkload(owner: string, input: WorkloadInput): Workload {
  const { version = '', portName = '', serviceAccount = '', namespace = 'default', weight = 1 } = input;
  check('service', NAME.test(input.service), input.service, 'a DNS name');
  check('namespace', NAME.test(namespace), namespace, 'a DNS name');
  check('address', isIP(input.address) !== 0, input.address, 'an IP address');
  check('port', input.isMember === true || isPort(input.port), input.port, 'a port number');
  check('serviceAccount', serviceAccount === '' || NAME.test(serviceAccount), serviceAccount, 'a DNS name');
  check(
    'weight',
    Number.isInteger(weight) && weight >= 1 && weight <= 1_000_000,
    weight,
    'a whole number from 1',
  );
  return {
    owner,
    service: input.service,
    namespace,
    version,
    // `app` and `version` are what selectors and subsets name by convention.
    labels: {
      ...(input.isMember !== true && { app: input.service }),
      ...(version !== '' && { version }),
      ...input.labels,
    },
    address: input.address,
    port: input.port,
    portName,
    locality:
      input.locality === undefined || isNowhere(input.locality)
        ? localityOfLabels(input.labels ?? {})
        : input.locality,
    serviceAccount,
    tlsMode: input.tlsMode ?? 'disabled',
    protocol: input.protocol ?? '',
    weight,
    clusterId: input.clusterId ?? DEFAULT_CLUSTER_ID,
    ...(input.group !== undefined && { group: input.group }),
    ...(input.health !== undefined && { health: input.health }),
    ...(input.isMember === true && { isMember: true }),
  };
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

function check(field: string, holds: boolean, value: unknown, expected: string): void {
  if (holds) return;
  throw new MeshError(
    'INMESH_OPTION_INVALID',
    `a workload's ${field} is ${JSON.stringify(value)}, not ${expected}`,
    {
      hint: 'Correct the registration; the workload is not registered',
    },
  );
}
