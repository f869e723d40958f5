import { bytesBody } from '../../service/body.js';
import { isGrpc, localReply } from '../../service/local-reply.js';
import type { Request, Response } from '../../service/service.js';
import { isValidLine, safeValue } from './changes.js';
import type { AuthzAnswer, HeaderLine } from './decision.js';
import { NOT_SENT_ON } from './not-sent-on.js';

/** Why a request is not let through: what Envoy calls it, and the code of it here. */
export const DENIED = { details: 'ext_authz_denied', reason: 'INMESH_AUTHZ_DENIED' } as const;
export const UNANSWERED = { details: 'ext_authz_error', reason: 'INMESH_AUTHZ_UNANSWERED' } as const;
export const INVALID = { details: 'ext_authz_invalid', reason: 'INMESH_AUTHZ_UNANSWERED' } as const;

type Why = typeof DENIED | typeof UNANSWERED | typeof INVALID;

/** Answers a request that is not let through, as the service says. */
export function refuse(
  request: Request,
  why: Why,
  { status, headers, body }: AuthzAnswer & { readonly status: number },
): Response {
  const response = localReply(request, {
    ...why,
    status,
    flag: 'UAEX',
    body: typeof body === 'string' ? body : Buffer.from(body).toString('utf8'),
  });
  if (typeof body !== 'string') sendAsGiven(request, response, body);
  setHeaders(request, response, headers);
  return response;
}

/** The service's body may be anything; only gRPC callers get it as text. */
function sendAsGiven(request: Request, response: Response, body: Uint8Array): void {
  if (body.byteLength === 0 || isGrpc(request)) return;
  response.headers.set('content-length', String(body.byteLength));
  if (request.method === 'HEAD') return;
  response.body = bytesBody(body);
  request.context.responseBytes = body.byteLength;
}

/** Envoy: the service's headers go before those of local replies; gRPC callers always get gRPC's content type. */
function setHeaders(request: Request, { headers }: Response, lines: readonly HeaderLine[]): void {
  const keepsType = isGrpc(request);
  const sent = lines.filter(
    ([name]) =>
      isValidLine([name, '']) &&
      !name.startsWith(':') &&
      !NOT_SENT_ON.has(name) &&
      !(keepsType && name === 'content-type'),
  );
  for (const [name] of sent) headers.delete(name);
  for (const [name, value] of sent) headers.append(name, safeValue(value));
}
