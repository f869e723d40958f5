import type { DecompressionRule, DecompressorConfig } from '../model/body-filters.js';
import type { HeaderMap } from '../service/headers.js';
import { changeResponse } from '../service/response-head.js';
import type { Filter, Request } from '../service/service.js';
import { type BodyTransform, transformBody } from '../service/transform-body.js';
import { CODINGS, decompressing } from './compression.js';
import { listOf, lists } from './content-coding.js';
import type { FilterTools } from './filter.js';
import type { FilterCounter } from './filter-memory.js';

/**
 * Decompressor (Envoy `envoy.filters.http.decompressor`): decompresses requests and responses of one coding, and tells
 * upstreams that responses may have it.
 */
export function decompressor(config: DecompressorConfig, tools: FilterTools): Filter | undefined {
  const { library, request: requestRule, response: responseRule } = config;
  if (!requestRule.enabled && !responseRule.enabled) return undefined;
  const coding = CODINGS[library.kind];
  const requests = direction(config, 'request', tools);
  const responses = direction(config, 'response', tools);
  return (request, next) => {
    if (requestRule.enabled) decompressRequest(request, requestRule, requests, coding);
    if (!responseRule.enabled) return next(request);
    if (requestRule.advertise) advertise(request.headers, coding);
    return changeResponse(request, next, ({ headers }) =>
      begin(headers, responseRule, responses, coding)
        ? (body) => transformBody(body, responses.transform)
        : undefined,
    );
  };
}

interface Direction {
  readonly transform: BodyTransform;
  readonly done: FilterCounter;
  readonly leftAlone: FilterCounter;
}

function direction(
  { name, library }: DecompressorConfig,
  side: 'request' | 'response',
  { memory }: FilterTools,
): Direction {
  const counter = (figure: string) =>
    memory.counter(`decompressor.${name}.${library.kind}.${side}.${figure}`);
  return {
    transform: decompressing(library, {
      uncompressed: counter('total_uncompressed_bytes'),
      compressed: counter('total_compressed_bytes'),
    }),
    done: counter('decompressed'),
    leftAlone: counter('not_decompressed'),
  };
}

function decompressRequest(
  request: Request,
  rule: DecompressionRule,
  requests: Direction,
  coding: string,
): void {
  const { headers, body } = request;
  if (body.kind === 'empty' || !begin(headers, rule, requests, coding)) return;
  request.body = transformBody(body, requests.transform);
}

/** Whether a message is decompressed; its headers say then that it is not compressed so any more. */
function begin(
  headers: HeaderMap,
  { ignoreNoTransform }: DecompressionRule,
  { done, leftAlone }: Direction,
  coding: string,
): boolean {
  const codings = headers.has('content-encoding') ? listOf(headers, 'content-encoding') : [];
  // RFC 9110 §8.4: the last one was applied last, so it comes off first.
  const outermost = codings.pop()?.toLowerCase();
  if (outermost !== coding || (!ignoreNoTransform && lists(headers, 'cache-control', 'no-transform'))) {
    leftAlone.value++;
    return false;
  }
  done.value++;
  if (codings.length === 0) headers.delete('content-encoding');
  else headers.set('content-encoding', codings.join(', '));
  headers.delete('content-length');
  return true;
}

function advertise(headers: HeaderMap, coding: string): void {
  const accepts = headers.has('accept-encoding') ? listOf(headers, 'accept-encoding') : [];
  if (accepts.some((one) => one.split(';', 1)[0]?.trim().toLowerCase() === coding)) return;
  headers.set('accept-encoding', [...accepts, coding].join(','));
}
