import type { StrictHeader } from '../model/filter-config.js';
import { wholeNumber } from '../routing/request-controls.js';
import { parseRetryGrpcOn, parseRetryOn } from '../routing/retry-tokens.js';
import type { HeaderMap } from '../service/headers.js';
import { localReply } from '../service/local-reply.js';
import type { Request, Response } from '../service/service.js';

/** The first header of a request that the router is strict about and can't read. */
export function findInvalidHeader(
  headers: HeaderMap,
  names: readonly StrictHeader[],
): StrictHeader | undefined {
  return names.find((name) => {
    const value = headers.peek(name);
    return value !== undefined && !isValid(name, value);
  });
}

function isValid(name: StrictHeader, value: string): boolean {
  switch (name) {
    case 'x-envoy-retry-on':
      return parseRetryOn(value).unknown.length === 0;
    case 'x-envoy-retry-grpc-on':
      return parseRetryGrpcOn(value).unknown.length === 0;
    default:
      return wholeNumber(value) !== undefined;
  }
}

/** Envoy `strict_check_headers`: 400, flag IH. */
export function refuseHeader(request: Request, name: StrictHeader): Response {
  return localReply(request, {
    status: 400,
    body: `invalid header '${name}' with value '${request.headers.peek(name) ?? ''}'`,
    details: `request_headers_failed_strict_check{${name}}`,
    reason: 'INMESH_HEADER_INVALID',
    flag: 'IH',
  });
}
