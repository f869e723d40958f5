import type { GlobalRateLimitConfig } from '../model/global-rate-limit.js';
import { compileMutations } from '../routing/header-mutation.js';
import { bytesBody } from '../service/body.js';
import { formatToolsOf, inputOf } from '../service/format/tools.js';
import { isGrpc, localReply } from '../service/local-reply.js';
import type { Request, Response } from '../service/service.js';
import type { FilterTools } from './filter.js';
import type { LimitHeader } from './rate-limit-service.js';

const RESOURCE_EXHAUSTED = 8;

/** The answers of the global rate limit filter to requests that it refuses. */
export interface LimitRefusals {
  readonly overLimit: (request: Request, body: Uint8Array, headers: readonly LimitHeader[]) => Response;
  /** The service said nothing. */
  readonly unanswered: (request: Request) => Response;
}

/** Compiles the answers of a configuration. */
export function limitRefusals(config: GlobalRateLimitConfig, { clock }: FilterTools): LimitRefusals {
  const add = compileMutations([{ remove: [], add: config.responseHeaders }], formatToolsOf(clock));
  return {
    overLimit(request, body, headers) {
      const response = localReply(request, {
        status: config.status,
        body: Buffer.from(body).toString('utf8'),
        details: 'request_rate_limited',
        reason: 'INMESH_RATE_LIMITED',
        flag: 'RL',
        ...(config.resourceExhausted && { grpcStatus: RESOURCE_EXHAUSTED }),
      });
      sendAsGiven(request, response, body);
      addHeaders(request, response, headers);
      add?.(response.headers, inputOf(request, response));
      return response;
    },
    unanswered: (request) =>
      localReply(request, {
        status: config.statusOnError,
        body: '',
        details: 'rate_limiter_error',
        reason: 'INMESH_RATE_LIMIT_UNANSWERED',
        flag: 'RLSE',
      }),
  };
}

/** The service's body may be anything; only gRPC callers get it as text. */
function sendAsGiven(request: Request, response: Response, body: Uint8Array): void {
  if (body.byteLength === 0 || isGrpc(request)) return;
  response.headers.set('content-length', String(body.byteLength));
  if (request.method === 'HEAD') return;
  response.body = bytesBody(body);
  request.context.responseBytes = body.byteLength;
}

/** Envoy: the service's content type goes before that of local replies; gRPC callers always get gRPC's. */
function addHeaders(request: Request, { headers }: Response, lines: readonly LimitHeader[]): void {
  const keepsType = isGrpc(request);
  if (!keepsType && lines.some(([name]) => name === 'content-type')) headers.delete('content-type');
  for (const [name, value] of lines) {
    if (!(keepsType && name === 'content-type')) headers.append(name, value);
  }
}
