import type { BufferConfig, BufferRouteConfig } from '../model/body-filters.js';
import type { FilterConfig } from '../model/filter-config.js';
import { MeshError } from '../runtime/errors.js';
import { bytesBody } from '../service/body.js';
import { localReply } from '../service/local-reply.js';
import { readBytes } from '../service/read-body.js';
import type { Filter, Request, Response, Service } from '../service/service.js';

/**
 * Buffer (Envoy `envoy.filters.http.buffer`): reads a request whole before it goes on, so that slow callers hold nothing
 * upstream, and gives it a length. What is too long gets 413.
 */
export function buffer(base: BufferConfig, layers: readonly FilterConfig[]): Filter | undefined {
  const route = layers.find((layer): layer is BufferRouteConfig => layer.kind === 'buffer-route');
  const maxBytes = route === undefined ? base.maxRequestBytes : route.maxRequestBytes;
  if (maxBytes === undefined) return undefined;
  return (request, next) => {
    const { body, context } = request;
    // What follows an upgrade is no body.
    if (body.kind === 'empty' || context.upgrade !== undefined) return next(request);
    const length = body.kind === 'native' ? body.length : undefined;
    if (length === 0) return next(request);
    if (length !== undefined && length > maxBytes) return Promise.resolve(tooLarge(request));
    return buffered(request, next, maxBytes);
  };
}

async function buffered(request: Request, next: Service, maxBytes: number): Promise<Response> {
  const { headers } = request;
  let bytes: Uint8Array;
  try {
    bytes = await readBytes(request, maxBytes);
  } catch (error) {
    if (MeshError.is(error) && error.code === 'INMESH_BODY_TOO_LARGE') return tooLarge(request);
    throw error;
  }
  // Envoy: a length that the caller told stays.
  if (!headers.has('content-length')) {
    headers.delete('transfer-encoding');
    headers.set('content-length', String(bytes.byteLength));
  }
  request.body = bytesBody(bytes);
  return next(request);
}

function tooLarge(request: Request): Response {
  return localReply(request, {
    status: 413,
    body: 'Payload Too Large',
    details: 'request_payload_too_large',
    reason: 'INMESH_BODY_TOO_LARGE',
    // The rest of it is not waited for.
    headers: request.context.direction === 'inbound' ? [['connection', 'close']] : [],
  });
}
