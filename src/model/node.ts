import type { Locality } from './endpoint.js';

/** A mesh participant towards the control plane (xDS Node). */
export interface Node {
  /** Istio's form: `sidecar~<ip>~<name>.<namespace>~<namespace>.svc.<domain>`. */
  readonly id: string;
  readonly cluster: string;
  readonly locality: Locality;
  readonly metadata: NodeMetadata;
  /** Metadata of other names, as JSON. Of a remote node its texts alone are kept: EnvoyFilters may choose by them. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** What the client can do, by xDS's names, beyond what every client of ours can. */
  readonly clientFeatures?: readonly string[];
  /** Context parameters by the type URL of the resources that they hold for (`dynamic_parameters`). */
  readonly dynamicParameters?: DynamicParameters | undefined;
  /** What the program calls itself (`user_agent_name`), when it is not inmesh: `envoy`, `gRPC Go`. */
  readonly userAgent?: string | undefined;
}

/** By type URL: the context parameters that a client adds to the names of that type. */
export type DynamicParameters = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** What a node says about itself; the names are Istio's. */
export interface NodeMetadata {
  readonly NAMESPACE: string;
  readonly SERVICE_ACCOUNT: string;
  readonly LABELS: Readonly<Record<string, string>>;
  readonly INSTANCE_IPS: string;
  /** Which kind of configuration it wants: `inmesh` for our SDK, `grpc` for proxyless gRPC, `envoy`; may be empty. */
  readonly GENERATOR: string;
  /** Name of the cluster that it runs in; Istio's default is `Kubernetes`. */
  readonly CLUSTER_ID?: string;
  /** Istio: how an Envoy gets the connections of applications; `NONE` = they call its own listeners. */
  readonly INTERCEPTION_MODE?: string;
  /** Port on which an Envoy takes the requests of applications as their HTTP proxy; 0 = on none. */
  readonly INMESH_PROXY_PORT?: number;
  /** Istio: the WorkloadGroup, of its namespace, that it registers itself as a member of. */
  readonly AUTO_REGISTER_GROUP?: string;
  /** What the node says of its own health, where it probes itself. */
  readonly INMESH_HEALTH?: 'healthy' | 'unhealthy';
  readonly INMESH_VERSION?: string;
  /** Ports this node serves: it is registered as an endpoint while its xDS stream lives. */
  readonly INMESH_WORKLOADS?: readonly NodeWorkload[];
  /** Who calls this node without TLS. */
  readonly INMESH_PLAINTEXT?: readonly PlaintextCaller[];
}

/** One served port of a node. */
export interface NodeWorkload {
  /** Short service name. */
  readonly service: string;
  readonly address: string;
  readonly port: number;
  /** Name of the service's port it implements; empty when the service has one port only. */
  readonly portName: string;
  /** `istio` when it accepts mesh mTLS, `disabled` when it speaks plaintext only. */
  readonly tlsMode: 'istio' | 'disabled';
  /** What it speaks, when it is not HTTP of any kind: `tcp` for other bytes, `grpc` where callers need HTTP/2. */
  readonly protocol?: 'tcp' | 'grpc';
}

/** Connections without TLS from one address to one served port. */
export interface PlaintextCaller {
  /** Served port. */
  readonly port: number;
  /** IP address of the caller; empty = all that there was no room for. */
  readonly source: string;
  /** `name.namespace` of the caller, when it said so; empty otherwise. */
  readonly workload: string;
  /** Connections that were let in. */
  readonly connections: number;
  /** Connections that were refused. */
  readonly refused: number;
  /** Calendar milliseconds. */
  readonly lastAtMs: number;
}
