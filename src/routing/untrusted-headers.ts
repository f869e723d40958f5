/** Headers that only callers within the mesh may set (Envoy: those of requests that are not internal are taken off). */
export const MESH_HEADERS: readonly string[] = [
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-force-trace',
  'x-envoy-ip-tags',
  'x-envoy-original-url',
  'x-envoy-hedge-on-per-try-timeout',
];

/** The same where the mesh begins. */
export const EDGE_HEADERS: readonly string[] = [
  'x-envoy-decorator-operation',
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
  'x-envoy-original-path',
  'x-envoy-original-host',
];

/**
 * Whether a header (in lower case) is one that only callers within the mesh may set. A deadline is not: who asks for an
 * answer sooner harms nobody but himself.
 */
export function isUntrusted(name: string): boolean {
  return UNTRUSTED.has(name);
}

const UNTRUSTED: ReadonlySet<string> = new Set([
  'x-envoy-internal',
  ...[...MESH_HEADERS, ...EDGE_HEADERS].filter((name) => name !== 'x-envoy-expected-rq-timeout-ms'),
]);
