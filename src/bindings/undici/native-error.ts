import { codeOf, MeshError } from '../../runtime/errors.js';
import type { Request } from '../../service/service.js';
import { TransportError } from '../../service/transport-error.js';

/**
 * The error that a caller gets: connection failures keep the shape that undici gives them (`code: 'ECONNREFUSED'`,
 * `UND_ERR_SOCKET`, …) with the mesh's account of it as their `cause`; an abort is the caller's own reason.
 */
export function nativeError(error: unknown, request: Request): Error {
  if (!TransportError.is(error)) return error instanceof Error ? error : new Error(String(error));
  const native = platformError(error);
  if (error.failure === 'aborted' || MeshError.is(native)) return native;
  if (native.cause === undefined && Object.isExtensible(native)) {
    Object.defineProperty(native, 'cause', {
      value: account(error, request),
      configurable: true,
      writable: true,
    });
  }
  return native;
}

/** The platform's own error; mutual TLS wraps a connection that could not be made into a MeshError. */
function platformError({ cause, message }: TransportError): Error {
  const own = cause instanceof Error ? cause : new Error(message);
  if (!MeshError.is(own) || own.code !== 'INMESH_UPSTREAM_CONNECT') return own;
  return own.cause instanceof Error && codeOf(own.cause) !== undefined ? own.cause : own;
}

function account(error: TransportError, request: Request): MeshError {
  const { clusterName, upstreamHost, attemptCount, flags } = request.context;
  const connect = error.failure === 'connect';
  return new MeshError(
    connect ? 'INMESH_UPSTREAM_CONNECT' : 'INMESH_UPSTREAM_RESET',
    connect
      ? `could not connect to ${upstreamHost ?? 'the endpoint'} for ${request.authority}: ${error.message}`
      : `${upstreamHost ?? 'the endpoint'} broke the connection before it answered ${request.authority}: ${error.message}`,
    {
      resource: `cluster ${clusterName ?? 'unknown'}, ${attemptCount} attempt${attemptCount === 1 ? '' : 's'}`,
      flags,
      hint: connect
        ? 'Check that the service runs and that its registered address and port are right'
        : 'The request may have been processed; retry it only if it is idempotent, or allow `reset` in the retry policy',
    },
  );
}
