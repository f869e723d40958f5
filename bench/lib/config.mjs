// The mesh that the benchmarks run in: 50 routes, power of two choices, breaker, outlier detection, retries.

/** Documents for a control plane; `echo` is the plain upstream at `port`, `secure` the meshed one. */
export function meshDocuments(port) {
  const prefixes = Array.from({ length: 49 }, (_, at) => `/api/v${at}/`);
  const routes = [...prefixes, '/'].map(
    (prefix) => `    - match: [{ uri: { prefix: "${prefix}" } }]
      route: [{ destination: { host: HOST } }]
      timeout: 15s
      retries: { attempts: 2, retryOn: "connect-failure,refused-stream,unavailable,cancelled,503" }`,
  );
  const service = (host, tls) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${host} }
spec:
  hosts: [${host}]
  http:
${routes.join('\n').replaceAll('HOST', host)}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${host} }
spec:
  host: ${host}
  trafficPolicy:
    loadBalancer: { simple: LEAST_REQUEST }
    connectionPool: { http: { http2MaxRequests: 1024 } }
    outlierDetection: { consecutive5xxErrors: 5, interval: 10s, baseEjectionTime: 30s }
    tls: { mode: ${tls} }
`;
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: echo }
spec:
  hosts: [echo.bench]
  ports: [{ number: 80, name: http, protocol: HTTP }]
  resolution: STATIC
  location: MESH_INTERNAL
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]
---
${service('echo.bench', 'DISABLE')}---
${service('secure', 'ISTIO_MUTUAL')}`;
}
