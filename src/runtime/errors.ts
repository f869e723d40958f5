/** The stable codes of every error that inmesh raises; `docs/errors.md` explains each one. */
export type MeshErrorCode =
  // configuration
  | 'INMESH_CONFIG_SYNTAX'
  | 'INMESH_CONFIG_UNKNOWN_KIND'
  | 'INMESH_CONFIG_UNKNOWN_FIELD'
  | 'INMESH_CONFIG_INVALID'
  | 'INMESH_CONFIG_REFERENCE'
  | 'INMESH_CONFIG_UNSUPPORTED'
  | 'INMESH_CONFIG_DUPLICATE'
  | 'INMESH_CONFIG_TOO_LARGE'
  | 'INMESH_CONFIG_READ'
  | 'INMESH_OPTION_INVALID'
  | 'INMESH_BOOTSTRAP_INVALID'
  | 'INMESH_TOKEN_UNAVAILABLE'
  // sockets and processes
  | 'INMESH_PORT_IN_USE'
  | 'INMESH_LISTEN_FAILED'
  | 'INMESH_COMMAND_FAILED'
  | 'INMESH_CLOSED'
  // control plane and xDS
  | 'INMESH_CONTROL_PLANE_UNAVAILABLE'
  | 'INMESH_XDS_DECODE'
  | 'INMESH_XDS_REJECTED'
  | 'INMESH_CACHE_CORRUPT'
  | 'INMESH_CACHE_WRITE'
  | 'INMESH_MASS_REMOVAL'
  | 'INMESH_STORE_CORRUPT'
  | 'INMESH_STORE_WRITE'
  | 'INMESH_STORE_FOLLOWS'
  // identity
  | 'INMESH_SPIFFE_ID'
  | 'INMESH_SVID_INVALID'
  | 'INMESH_JWT_SVID_INVALID'
  | 'INMESH_BUNDLE_INVALID'
  | 'INMESH_BUNDLE_UNAVAILABLE'
  | 'INMESH_CERTIFICATE_EXPIRED'
  | 'INMESH_CERTIFICATE_REVOKED'
  | 'INMESH_PEER_IDENTITY'
  | 'INMESH_TRUST_DOMAIN'
  | 'INMESH_CSR_INVALID'
  | 'INMESH_CA_REFUSED'
  | 'INMESH_CA_UNAVAILABLE'
  | 'INMESH_CA_UNFIT'
  | 'INMESH_CA_KEY'
  | 'INMESH_CA_ROTATION'
  | 'INMESH_CRL_INVALID'
  | 'INMESH_IDENTITY_UNAVAILABLE'
  // requests
  | 'INMESH_NO_ROUTE'
  | 'INMESH_NO_CLUSTER'
  | 'INMESH_NO_HEALTHY_UPSTREAM'
  | 'INMESH_OVERFLOW'
  | 'INMESH_NAME_UNRESOLVED'
  | 'INMESH_DROP_OVERLOAD'
  | 'INMESH_FAILURE_RATE_OPEN'
  | 'INMESH_CONCURRENCY_LIMIT'
  | 'INMESH_ADMISSION_DENIED'
  | 'INMESH_TIMEOUT'
  | 'INMESH_FAULT_INJECTED'
  | 'INMESH_RATE_LIMITED'
  | 'INMESH_RATE_LIMIT_UNANSWERED'
  | 'INMESH_RBAC_DENIED'
  | 'INMESH_JWT_DENIED'
  | 'INMESH_AUTHZ_DENIED'
  | 'INMESH_AUTHZ_UNANSWERED'
  | 'INMESH_AUTHZ_BODY_TOO_LARGE'
  | 'INMESH_UPGRADE_REFUSED'
  | 'INMESH_UPSTREAM_CONNECT'
  | 'INMESH_UPSTREAM_RESET'
  | 'INMESH_UPSTREAM_PROTOCOL'
  | 'INMESH_PLAINTEXT_REFUSED'
  | 'INMESH_ABORTED'
  | 'INMESH_BODY_USED'
  | 'INMESH_BODY_TOO_LARGE'
  | 'INMESH_HEADER_INVALID'
  | 'INMESH_UNSUPPORTED';

/** What a MeshError says besides its code and message. */
export interface MeshErrorOptions {
  /** The error underneath, always kept. */
  readonly cause?: unknown;
  /** The resource or endpoint it happened to, e.g. `cluster outbound|9080|v1|reviews.default.svc.cluster.local`. */
  readonly resource?: string | undefined;
  /** What the reader can do about it, as an imperative sentence. */
  readonly hint?: string | undefined;
  /** Envoy response flags, e.g. `['UH']`. */
  readonly flags?: readonly string[] | undefined;
}

const BRAND = Symbol.for('inmesh.MeshError');

/**
 * The one error class of inmesh: a stable `code`, what happened, to which resource, and what to do.
 * The message is complete in itself: `CODE: what (resource). hint`.
 */
export class MeshError extends Error {
  override readonly name = 'MeshError';
  readonly code: MeshErrorCode;
  readonly resource: string | undefined;
  readonly hint: string | undefined;
  readonly flags: readonly string[];
  /** Recognises a MeshError even when two copies of the package are loaded (see {@link MeshError.is}). */
  readonly [BRAND] = true;

  constructor(code: MeshErrorCode, what: string, options: MeshErrorOptions = {}) {
    super(describe(code, what, options), options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.resource = options.resource;
    this.hint = options.hint;
    this.flags = options.flags ?? [];
  }

  /** Tells whether a value is a MeshError, also one made by another copy of the package. */
  static is(value: unknown): value is MeshError {
    return typeof value === 'object' && value !== null && BRAND in value;
  }
}

function describe(code: MeshErrorCode, what: string, options: MeshErrorOptions): string {
  const where = options.resource === undefined ? '' : ` (${options.resource})`;
  const hint = options.hint === undefined ? '' : `. ${options.hint}`;
  return `${code}: ${what}${where}${hint}`;
}

/** The text of any thrown value, with the messages of its causes, for one line of log. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.message === '' && 'code' in error ? String(error.code) : error.message;
  return error.cause === undefined || own.includes(messageOf(error.cause))
    ? own
    : `${own}: ${messageOf(error.cause)}`;
}

/** The `code` property of a thrown value, when it has one. */
export function codeOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

/** Proves to the compiler that a union was switched over exhaustively. */
export function unreachable(value: never): never {
  throw new TypeError(`unexpected value ${JSON.stringify(value)}`);
}
