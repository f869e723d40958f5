import { createHash } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http';
import type { HeaderMap } from '../../service/headers.js';
import type { Request } from '../../service/service.js';

/** RFC 6455 §1.3. */
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Whether a server must know extended CONNECT to take it (RFC 8441). */
export function needsExtendedConnect(upgrade: string): boolean {
  return upgrade !== 'connect' && upgrade !== 'post';
}

/**
 * Makes a CONNECT of a request that switches its protocol: with `:protocol` for an upgrade (RFC 8441 §4), without scheme
 * and path when it is a CONNECT already (RFC 9113 §8.5). What is carried in a POST stays one.
 */
export function connectHead(head: OutgoingHttpHeaders, { context, authority }: Request): OutgoingHttpHeaders {
  const { ':scheme': scheme, ':path': path, 'content-length': length, ...rest } = head;
  if (context.upgrade === 'post') return { ...rest, ':scheme': scheme, ':path': path };
  rest[':method'] = 'CONNECT';
  if (context.upgrade === 'connect') return { ...rest, ':authority': authority };
  // Envoy: an empty body is not spoken of.
  const kept = length === undefined || length === '0' ? {} : { 'content-length': length };
  return { ...rest, ...kept, ':scheme': scheme, ':path': path, ':protocol': context.upgrade };
}

/** Whether the server agreed. Envoy takes nothing but 200 for an upgrade. */
export function isAgreed(status: number, upgrade: string): boolean {
  return upgrade === 'connect' ? status >= 200 && status < 300 : status === 200;
}

/** Says of an upgrade over HTTP/2 what its caller, who asked by HTTP/1.1, waits for. */
export function describeUpgrade(headers: HeaderMap, upgrade: string, request: Request): void {
  headers.set('connection', 'Upgrade');
  headers.set('upgrade', upgrade);
  const key = request.headers.get('sec-websocket-key');
  if (upgrade !== 'websocket' || key === undefined || headers.has('sec-websocket-accept')) return;
  // RFC 8441 §5: HTTP/2 does without this proof; clients of HTTP/1.1 insist on it.
  const proof = createHash('sha1')
    .update(key + WEBSOCKET_GUID)
    .digest('base64');
  headers.set('sec-websocket-accept', proof);
}
