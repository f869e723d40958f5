import type { JsonValue } from '@bufbuild/protobuf';

import type { Origin } from '../kinds/view.js';

/** What the mesh would do with a request, and why. */
export interface RequestExplanation {
  readonly request: ExplainedHead;
  readonly from: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
  /**
   * `forwarded` to a cluster; answered here by a `redirect` or `direct-response`; `passed-through`: it is none of the
   * mesh's hosts; `refused`: nothing matched, or where it goes does not exist.
   */
  readonly outcome: 'forwarded' | 'redirect' | 'direct-response' | 'passed-through' | 'refused';
  /** One sentence that says why. */
  readonly reason: string;
  readonly listener: string | null;
  readonly routeConfiguration: string | null;
  readonly virtualHost: string | null;
  readonly route: ExplainedRoute | null;
  /** The chosen one. */
  readonly cluster: string | null;
  /** All that the route may choose. */
  readonly clusters: readonly { readonly name: string; readonly weight: number; readonly share: number }[];
  /** The request as the endpoint receives it, and what changed. */
  readonly rewritten: (ExplainedHead & { readonly changes: readonly string[] }) | null;
  /** What is done to the headers of the response. */
  readonly responseHeaders: {
    readonly set: readonly (readonly [string, string])[];
    readonly add: readonly (readonly [string, string])[];
    readonly remove: readonly string[];
  };
  /** What is answered here; null when the endpoint answers. */
  readonly response: { readonly status: number; readonly location?: string; readonly body?: string } | null;
  readonly timeouts: {
    /** Over all attempts; 0 = none. */
    readonly requestMs: number;
    readonly perTryMs: number | null;
    readonly idleMs: number | null;
    readonly connectMs: number | null;
  } | null;
  readonly retries: ExplainedRetries | null;
  readonly mirrors: readonly { readonly cluster: string; readonly percent: number }[];
  /** The HTTP filters that the request passes, in order, each with what counts on this route. */
  readonly filters: readonly { readonly name: string; readonly config: JsonValue }[];
  readonly policy: ExplainedPolicy | null;
  /** All of the cluster; those that take requests now are `chosen`. */
  readonly endpoints: readonly ExplainedEndpoint[];
  /** Documents that it follows from. */
  readonly documents: readonly ({
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
  } & Origin)[];
}

/** When a request is tried again. */
export interface ExplainedRetries {
  /** Envoy's conditions. */
  readonly retryOn: readonly string[];
  /** After the first try. */
  readonly numRetries: number;
  readonly perTryTimeoutMs: number | undefined;
  readonly retriableStatusCodes: readonly number[];
}

/** The parts of a request that count. */
export interface ExplainedHead {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
}

/** The route that matched. */
export interface ExplainedRoute {
  readonly name: string;
  /** From 0, within its virtual host. */
  readonly index: number;
  readonly match: object;
}

/** What holds between client and endpoints. */
export interface ExplainedPolicy {
  /** With what its policy says besides. */
  readonly loadBalancer: { readonly kind: string };
  readonly circuitBreakers: {
    readonly maxConnections: number;
    readonly maxPendingRequests: number;
    readonly maxRequests: number;
    readonly maxRetries: number;
  };
  readonly outlierDetection: object | null;
  readonly tls: 'mutual' | 'simple' | 'per-endpoint' | 'none';
  readonly protocol: string;
  /** The workloads' own: which connections they take, and what their policies say of the caller. */
  readonly server: readonly ExplainedServer[];
}

/** What a group of workloads that serve the request say of it. */
export interface ExplainedServer {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly mtls: 'STRICT' | 'PERMISSIVE' | 'DISABLE';
  readonly authorization: 'allowed' | 'denied' | 'asked';
  /** The policies that decide. */
  readonly policies: readonly string[];
}

/** One endpoint of the cluster. */
export interface ExplainedEndpoint {
  readonly address: string;
  readonly port: number;
  readonly priority: number;
  readonly locality: string;
  readonly weight: number;
  readonly health: string;
  readonly tls: 'mutual' | 'simple' | 'none';
  readonly labels: Readonly<Record<string, unknown>>;
  readonly chosen: boolean;
  /** Part of the requests in percent by weights alone. */
  readonly sharePercent: number;
}
