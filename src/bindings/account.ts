import { codeOf, MeshError, type MeshErrorCode } from '../runtime/errors.js';
import type { Request } from '../service/service.js';
import { TransportError, type TransportFailure } from '../service/transport-error.js';

/** How far an exchange had come when it failed. */
export type Stage = 'no-answer' | 'in-answer';

interface Account {
  readonly code: MeshErrorCode;
  readonly what: string;
  readonly hint: string;
}

const TLS_CODE =
  /^(ERR_TLS_|ERR_SSL_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_CA|EPROTO|HOSTNAME_)/;
const TIMEOUT_CODES: ReadonlySet<string> = new Set(['ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT']);

/** The mesh's account of an exchange that its peer failed: what happened, at which endpoint, and what to do. */
export function peerFailed(error: unknown, request: Request, stage: Stage): MeshError {
  const failure = TransportError.is(error) ? error.failure : (request.context.bodyFailure ?? 'reset');
  const { code, what, hint } = tell(failure, error, request, stage);
  return new MeshError(code, what, { resource: placeOf(request), flags: request.context.flags, hint });
}

/** The error of an answer that a time limit of the mesh cut off. */
export function cutOff(error: Error, request: Request): MeshError {
  const what = `the answer to ${nameOf(request)} was cut off: ${error.message}`;
  return new MeshError('INMESH_TIMEOUT', what, {
    resource: placeOf(request),
    flags: request.context.flags,
    hint: 'Raise the timeout of the route, or see why the service is slow',
    cause: error,
  });
}

function tell(failure: TransportFailure, error: unknown, request: Request, stage: Stage): Account {
  const host = request.context.upstreamHost ?? 'the endpoint';
  const name = nameOf(request);
  // OpenSSL's end in a line break.
  const message = (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').trim();
  switch (failure) {
    case 'connect':
      return {
        code: 'INMESH_UPSTREAM_CONNECT',
        what: `could not connect to ${host} for ${name}: ${message}`,
        hint: connectHint(error),
      };
    case 'refused':
      return {
        code: 'INMESH_UPSTREAM_RESET',
        what: `${host} refused the request to ${name}: ${message}`,
        hint: 'It was not processed; allow `refused-stream` in the retry policy to send it again',
      };
    case 'protocol':
      return {
        code: 'INMESH_UPSTREAM_PROTOCOL',
        what: `${host} broke the rules of HTTP in its answer to ${name}: ${message}`,
        hint: 'Check that this port serves HTTP, of the version that the cluster is configured for',
      };
    default:
      return {
        code: 'INMESH_UPSTREAM_RESET',
        what:
          stage === 'in-answer'
            ? `${host} broke off its answer to ${name}: ${message}`
            : `${host} broke the connection before it answered ${name}: ${message}`,
        hint:
          stage === 'in-answer'
            ? 'What came of the body is not all of it; ask again if the request is idempotent'
            : 'The request may have been processed; retry it only if it is idempotent, or allow `reset` in the retry policy',
      };
  }
}

function connectHint(error: unknown): string {
  const cause = TransportError.is(error) ? error.cause : error;
  const code = codeOf(cause) ?? '';
  if (MeshError.is(cause) && cause.hint !== undefined) return cause.hint;
  if (TLS_CODE.test(code))
    return 'Check who issued the certificate of the endpoint, and the `tls` settings of its DestinationRule';
  if (TIMEOUT_CODES.has(code))
    return 'Check that the endpoint is reachable and not overloaded, or raise the `connectTimeout` of its cluster';
  return 'Check that the service runs and that its registered address and port are right';
}

/** Whether undici's parser or that of Node refused the peer's bytes. */
export function isParserError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // undici's has no code (7.30).
  return error.name === 'HTTPParserError' || codeOf(error)?.startsWith('HPE_') === true;
}

function nameOf({ authority, context }: Request): string {
  return authority === '' ? (context.destination ?? '') : authority;
}

function placeOf({ context: { clusterName, attemptCount } }: Request): string {
  return `cluster ${clusterName ?? 'unknown'}, ${attemptCount} attempt${attemptCount === 1 ? '' : 's'}`;
}
