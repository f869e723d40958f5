import { codeOf, MeshError } from '../../runtime/errors.js';
import type { Request } from '../../service/service.js';
import { TimeLimitError } from '../../service/time-limit-error.js';
import { TransportError } from '../../service/transport-error.js';
import { cutOff, peerFailed, type Stage } from '../account.js';

/** Errors that a caller has got, with the account of that exchange: one error ends all requests that wait for a connection. */
const taken = new WeakSet<Error>();

/**
 * The error that a caller gets. Failures of the peer keep the shape that undici gives them (`code: 'ECONNREFUSED'`,
 * `UND_ERR_SOCKET`, …) with the mesh's account of it as their `cause`; an answer that a time limit of the mesh cut off is
 * a MeshError; an abort is the caller's own reason.
 */
export function nativeError(cause: unknown, request: Request, stage: Stage = 'no-answer'): Error {
  if (TransportError.is(cause)) {
    if (cause.cause instanceof TimeLimitError) return cutOff(cause.cause, request);
    const native = platformError(cause);
    return cause.failure === 'aborted' ? native : withAccount(native, cause, request, stage);
  }
  const error = cause instanceof Error ? cause : new Error(String(cause));
  if (error instanceof TimeLimitError) return cutOff(error, request);
  const isPeers = stage === 'in-answer' && !request.abort.aborted && !MeshError.is(error);
  return isPeers ? withAccount(error, error, request, stage) : error;
}

/** The platform's own error; mutual TLS wraps a connection that could not be made into a MeshError. */
function platformError({ cause, message }: TransportError): Error {
  const own = cause instanceof Error ? cause : new Error(message);
  if (!MeshError.is(own) || own.code !== 'INMESH_UPSTREAM_CONNECT') return own;
  return own.cause instanceof Error && codeOf(own.cause) !== undefined ? own.cause : own;
}

function withAccount(native: Error, cause: unknown, request: Request, stage: Stage): Error {
  const isTaken = taken.has(native);
  if (!Object.isExtensible(native) || (native.cause !== undefined && !isTaken)) return native;
  taken.add(native);
  const own = isTaken ? copyOf(native) : native;
  Object.defineProperty(own, 'cause', {
    value: peerFailed(cause, request, stage),
    configurable: true,
    writable: true,
  });
  return own;
}

/** A real Error (for who asks `util.types.isNativeError`) with everything that the other has. */
function copyOf(error: Error): Error {
  const copy = new Error(error.message);
  Object.setPrototypeOf(copy, Object.getPrototypeOf(error));
  Object.defineProperties(copy, Object.getOwnPropertyDescriptors(error));
  // Newer versions of Node give the stack by an accessor, which would tell the copy's own.
  return Object.defineProperty(copy, 'stack', { value: error.stack, configurable: true, writable: true });
}
