/** Clients of the table. `mesh.fetch` and `fetch` differ in nothing but what `explain` knows. */
export const CLIENT_NAMES = [
  'mesh.fetch',
  'fetch',
  'undici',
  'node:http',
  'axios',
  'got',
  'node-fetch',
] as const;

export type ClientName = (typeof CLIENT_NAMES)[number];

/** An answer, made by the mesh or passed on. */
export interface Reply {
  readonly kind: 'reply';
  readonly status: number;
  /** Value of `x-inmesh-reason`; undefined when the answer is the endpoint's. */
  readonly reason: string | undefined;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An error in the client's own shape. Each is written as `Name CODE`. */
export interface Failure {
  readonly kind: 'failure';
  /** Whether there is an answer that breaks off. */
  readonly stage: 'no-answer' | 'in-answer';
  /** From undici; fetch has it as the cause of its TypeError. */
  readonly undici: string;
  /** From node:http; axios hands it on under its own class, got as the cause of its RequestError. */
  readonly http: string;
  /** From got, where it is not `RequestError` with the code of `http`. */
  readonly got?: string;
  /** From node-fetch, where it is not `FetchError` with the code of `http`. */
  readonly nodeFetch?: string;
  /** Code of the MeshError that is the cause of these, or that they are themselves. Undefined = the mesh has no part in it. */
  readonly account: string | undefined;
  /** What the account says. */
  readonly says?: RegExp;
}

/** The caller's own doing: what each client says to that. */
export interface OwnDoing {
  readonly kind: 'own-doing';
  readonly says: Readonly<Record<ClientName, string>>;
}

export interface Situation {
  readonly id: string;
  /** For people. */
  readonly title: string;
  readonly outcome: Reply | Failure | OwnDoing;
  /** Envoy's response flags. */
  readonly flags: string;
  /** Envoy's RESPONSE_CODE_DETAILS, up to what comes from the platform. */
  readonly details: string;
}

function reply(status: number, reason: string | undefined, body = '', headers = {}): Reply {
  return { kind: 'reply', status, reason, body, headers };
}

function failure(
  stage: Failure['stage'],
  [undici, http]: readonly [undici: string, http: string],
  account: string | undefined,
  more: Partial<Failure> = {},
): Failure {
  return { kind: 'failure', stage, undici, http, account, ...more };
}

const ABORTED: OwnDoing['says'] = {
  'mesh.fetch': 'AbortError 20',
  fetch: 'AbortError 20',
  undici: 'AbortError 20',
  'node:http': 'AbortError ABORT_ERR',
  axios: 'CanceledError ERR_CANCELED',
  got: 'AbortError ERR_ABORTED',
  'node-fetch': 'AbortError',
};

const CONNECT = 'INMESH_UPSTREAM_CONNECT';
const RESET = 'INMESH_UPSTREAM_RESET';
const PROTOCOL = 'INMESH_UPSTREAM_PROTOCOL';
const TIMEOUT = 'INMESH_TIMEOUT';
const BEFORE = 'upstream_reset_before_response_started';
const AFTER = 'upstream_reset_after_response_started';
const OVERLOADED = { 'x-envoy-overloaded': 'true' };

/** What a caller gets for what can happen. The one table: it is tested, and docs/client-errors.md is made of it. */
export const SITUATIONS: readonly Situation[] = [
  {
    id: 'no-route',
    title: 'No route matches',
    outcome: reply(404, 'INMESH_NO_ROUTE'),
    flags: 'NR',
    details: 'route_not_found',
  },
  {
    id: 'no-route-grpc',
    title: 'No route matches a gRPC call',
    outcome: reply(200, 'INMESH_NO_ROUTE', '', { 'grpc-status': '12' }),
    flags: 'NR',
    details: 'route_not_found',
  },
  {
    id: 'no-cluster',
    title: 'The cluster of the route does not exist',
    outcome: reply(503, 'INMESH_NO_CLUSTER'),
    flags: 'NC',
    details: 'cluster_not_found',
  },
  {
    id: 'no-healthy-upstream',
    title: 'The cluster has no usable endpoint',
    outcome: reply(503, 'INMESH_NO_HEALTHY_UPSTREAM', 'no healthy upstream'),
    flags: 'UH',
    details: 'no_healthy_upstream',
  },
  {
    id: 'overflow',
    title: 'The limits of connections or requests are reached (circuit breaker)',
    outcome: reply(
      503,
      'INMESH_OVERFLOW',
      'upstream connect error or disconnect/reset before headers. reset reason: overflow',
      OVERLOADED,
    ),
    flags: 'UO',
    details: `${BEFORE}{overflow}`,
  },
  {
    id: 'breaker-open',
    title: 'The failure-rate breaker is open',
    outcome: reply(
      503,
      'INMESH_FAILURE_RATE_OPEN',
      'INMESH_FAILURE_RATE_OPEN: too many requests failed, none is sent for now (breaker-open)',
      OVERLOADED,
    ),
    flags: 'UO',
    details: 'failure_rate_open',
  },
  {
    id: 'fault',
    title: 'A fault is injected (status 418)',
    outcome: reply(418, 'INMESH_FAULT_INJECTED', 'fault filter abort'),
    flags: 'FI',
    details: 'fault_filter_abort',
  },
  {
    id: 'fault-grpc',
    title: 'A fault is injected into a gRPC call (status 8)',
    outcome: reply(200, 'INMESH_FAULT_INJECTED', '', {
      'grpc-status': '8',
      'grpc-message': 'fault filter abort',
    }),
    flags: 'FI',
    details: 'fault_filter_abort',
  },
  {
    id: 'rate-limited',
    title: 'A rate limit is used up',
    outcome: reply(429, 'INMESH_RATE_LIMITED', 'local_rate_limited'),
    flags: 'RL',
    details: 'local_rate_limited',
  },
  {
    id: 'too-large',
    title: 'The body of the request is larger than the buffer filter allows',
    outcome: reply(413, 'INMESH_BODY_TOO_LARGE', 'Payload Too Large'),
    flags: '',
    details: 'request_payload_too_large',
  },
  {
    id: 'rbac-denied',
    title: 'RBAC refuses the request',
    outcome: reply(403, 'INMESH_RBAC_DENIED', 'RBAC: access denied'),
    flags: '',
    details: 'rbac_access_denied_matched_policy[nobody]',
  },
  {
    id: 'direct-response',
    title: 'The route answers itself (status 200)',
    outcome: reply(200, 'INMESH_DIRECT_RESPONSE', 'here'),
    flags: '',
    details: 'direct_response',
  },
  {
    id: 'redirect',
    title: 'The route redirects (status 302)',
    outcome: reply(302, 'INMESH_REDIRECT', '', { location: 'http://other/' }),
    flags: '',
    details: 'direct_response',
  },
  {
    id: 'blocked',
    title: 'The host is unknown, and unknown hosts are blocked (REGISTRY_ONLY)',
    outcome: reply(502, 'INMESH_DIRECT_RESPONSE'),
    flags: '',
    details: 'direct_response',
  },
  {
    id: 'timeout',
    title: 'The timeout of the route is over before there is an answer',
    outcome: reply(504, TIMEOUT, 'upstream request timeout'),
    flags: 'UT',
    details: 'response_timeout',
  },
  {
    id: 'per-try-timeout',
    title: 'Every try takes longer than the per-try timeout',
    outcome: reply(504, TIMEOUT, 'upstream request timeout'),
    flags: 'URX,UT',
    details: 'upstream_per_try_timeout',
  },
  {
    id: 'retries-exhausted',
    title: 'The endpoint answers 503, and no retry is left',
    outcome: reply(503, undefined, 'busy'),
    flags: 'URX',
    details: 'via_upstream',
  },
  {
    id: 'retry-overflow',
    title: 'The endpoint answers 503, and the budget of retries is used up',
    outcome: reply(503, undefined, 'busy'),
    flags: 'UO',
    details: 'via_upstream',
  },
  {
    id: 'connect-refused',
    title: 'The connection is refused',
    outcome: failure('no-answer', ['Error ECONNREFUSED', 'Error ECONNREFUSED'], CONNECT, {
      says: /could not connect to 127\.0\.0\.1:\d+ for connect-refused: .*Check that the service runs/,
    }),
    flags: 'UF',
    details: `${BEFORE}{remote_connection_failure|connect_ECONNREFUSED`,
  },
  {
    id: 'connect-timeout',
    title: 'No connection within the connect timeout',
    outcome: failure(
      'no-answer',
      ['ConnectTimeoutError UND_ERR_CONNECT_TIMEOUT', 'Error ETIMEDOUT'],
      CONNECT,
      { says: /timeout: 100ms.* raise the `connectTimeout` of its cluster/ },
    ),
    flags: 'UF',
    details: `${BEFORE}{connection_timeout|`,
  },
  {
    id: 'untrusted',
    title: 'The certificate of the endpoint is not trusted',
    outcome: failure(
      'no-answer',
      ['Error UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'Error UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
      CONNECT,
      { says: /Check who issued the certificate of the endpoint/ },
    ),
    flags: 'UF',
    details: `${BEFORE}{remote_connection_failure|`,
  },
  {
    id: 'no-tls',
    title: 'The endpoint does not speak TLS',
    outcome: failure('no-answer', ['Error ERR_SSL_WRONG_VERSION_NUMBER', 'Error EPROTO'], CONNECT, {
      says: /wrong version number.* the `tls` settings of its DestinationRule/,
    }),
    flags: 'UF',
    details: `${BEFORE}{remote_connection_failure|`,
  },
  {
    id: 'wrong-identity',
    title: 'The endpoint proves another identity than the cluster expects',
    outcome: failure(
      'no-answer',
      ['MeshError INMESH_PEER_IDENTITY', 'MeshError INMESH_PEER_IDENTITY'],
      CONNECT,
      { says: /the peer is spiffe:.*sa\/reviews.*Check that the endpoint belongs to the service/ },
    ),
    flags: 'UF',
    details: `${BEFORE}{remote_connection_failure|`,
  },
  {
    id: 'closed-before-head',
    title: 'The endpoint closes the connection without an answer',
    outcome: failure('no-answer', ['SocketError UND_ERR_SOCKET', 'Error ECONNRESET'], RESET, {
      says: /broke the connection before it answered closed-before-head.* retry it only if it is idempotent/,
    }),
    flags: 'UC',
    details: `${BEFORE}{connection_termination|other_side_closed}`,
  },
  {
    id: 'reset-before-head',
    title: 'The endpoint resets the connection without an answer',
    outcome: failure('no-answer', ['Error ECONNRESET', 'Error ECONNRESET'], RESET),
    flags: 'UC',
    details: `${BEFORE}{connection_termination|read_ECONNRESET}`,
  },
  {
    id: 'h2-refused',
    title: 'HTTP/2: the endpoint refuses the stream',
    outcome: failure('no-answer', ['Error ERR_HTTP2_STREAM_ERROR', 'Error ECONNRESET'], RESET, {
      says: /refused the request to h2-refused: .*It was not processed/,
    }),
    flags: 'UR',
    details: `${BEFORE}{remote_refused_stream_reset|`,
  },
  {
    id: 'h2-reset',
    title: 'HTTP/2: the endpoint resets the stream without an answer',
    outcome: failure('no-answer', ['Error ERR_HTTP2_STREAM_ERROR', 'Error ECONNRESET'], RESET),
    flags: 'UR',
    details: `${BEFORE}{remote_reset|`,
  },
  {
    id: 'garbage',
    title: 'What the endpoint answers is no HTTP',
    outcome: failure('no-answer', ['HTTPParserError', 'Error HPE_INVALID_CONSTANT'], PROTOCOL, {
      says: /broke the rules of HTTP in its answer to garbage: .*Check that this port serves HTTP/,
    }),
    flags: 'UPE',
    details: `${BEFORE}{protocol_error|`,
  },
  {
    id: 'closed-in-body',
    title: 'The endpoint closes the connection in the middle of its answer',
    outcome: failure('in-answer', ['SocketError UND_ERR_SOCKET', 'Error ECONNRESET'], RESET, {
      got: 'ReadError ECONNRESET',
      says: /broke off its answer to closed-in-body: .*not all of it/,
    }),
    flags: 'UC',
    details: `${AFTER}{connection_termination}`,
  },
  {
    id: 'reset-in-body',
    title: 'The endpoint resets the connection in the middle of its answer',
    outcome: failure('in-answer', ['Error ECONNRESET', 'Error ECONNRESET'], RESET),
    flags: 'UC',
    details: `${AFTER}{connection_termination}`,
  },
  {
    id: 'h2-reset-in-body',
    title: 'HTTP/2: the endpoint resets the stream in the middle of its answer',
    outcome: failure('in-answer', ['Error ERR_HTTP2_STREAM_ERROR', 'Error ECONNRESET'], RESET, {
      got: 'ReadError ECONNRESET',
      nodeFetch: 'FetchError ERR_STREAM_PREMATURE_CLOSE',
    }),
    flags: 'UR',
    details: `${AFTER}{remote_reset}`,
  },
  {
    id: 'garbage-in-body',
    title: 'The answer breaks the rules of HTTP in its middle',
    outcome: failure('in-answer', ['HTTPParserError', 'Error HPE_INVALID_CHUNK_SIZE'], PROTOCOL, {
      nodeFetch: 'FetchError ERR_STREAM_PREMATURE_CLOSE',
    }),
    flags: 'UPE',
    details: `${AFTER}{protocol_error}`,
  },
  {
    id: 'timeout-in-body',
    title: 'The timeout of the route is over in the middle of the answer',
    outcome: failure('in-answer', ['MeshError INMESH_TIMEOUT', 'Error ECONNRESET'], TIMEOUT, {
      got: 'ReadError ECONNRESET',
      says: /the answer to timeout-in-body was cut off: .*after 250 ms.* Raise the timeout of the route/,
    }),
    flags: 'UT',
    details: 'response_timeout',
  },
  {
    id: 'idle-timeout',
    title: 'Nothing moves for the idle timeout in the middle of the answer',
    outcome: failure('in-answer', ['MeshError INMESH_TIMEOUT', 'Error ECONNRESET'], TIMEOUT, {
      got: 'ReadError ECONNRESET',
    }),
    flags: 'SI',
    details: 'stream_idle_timeout',
  },
  {
    id: 'not-configured',
    title: 'No configuration ever came from the control plane, and none is cached',
    outcome: failure(
      'no-answer',
      ['MeshError INMESH_CONTROL_PLANE_UNAVAILABLE', 'MeshError INMESH_CONTROL_PLANE_UNAVAILABLE'],
      undefined,
      { says: /no configuration came from the control plane at 127\.0\.0\.1:\d+.* Start it/ },
    ),
    flags: '',
    details: '',
  },
  {
    id: 'closed',
    title: 'The mesh is closed',
    outcome: failure('no-answer', ['MeshError INMESH_CLOSED', 'MeshError INMESH_CLOSED'], undefined, {
      says: /the mesh is closed.* Send requests before close\(\)/,
    }),
    flags: '',
    details: '',
  },
  {
    id: 'aborted-before-head',
    title: 'The caller aborts before there is an answer',
    outcome: { kind: 'own-doing', says: ABORTED },
    flags: '',
    details: '',
  },
  {
    id: 'aborted-in-body',
    title: 'The caller aborts in the middle of the answer',
    outcome: { kind: 'own-doing', says: ABORTED },
    flags: '',
    details: '',
  },
  {
    id: 'request-body-failed',
    title: 'The body of the request fails (`Error: no more`)',
    outcome: {
      kind: 'own-doing',
      says: {
        'mesh.fetch': 'TypeError < Error',
        fetch: 'TypeError < Error',
        undici: 'Error',
        'node:http': 'Error',
        axios: 'Error < Error',
        got: 'UploadError ERR_UPLOAD < Error',
        'node-fetch': 'Error',
      },
    },
    flags: '',
    details: '',
  },
];
