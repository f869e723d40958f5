import type { InnerRequest } from './internals.js';

const CONDITIONAL = ['if-modified-since', 'if-none-match', 'if-unmodified-since', 'if-match', 'if-range'];

/**
 * The headers of one request on the wire, as undici's fetch sends them (Fetch standard, HTTP-network-or-cache fetch):
 * the caller's in their order and spelling, then the defaults that the caller did not give.
 */
export function requestHeaders(request: InnerRequest, url: URL): Record<string, string> {
  const list = request.headersList;
  if (request.isBare === true) return bareHeaders(request, url);
  // What is set here stays for the next request of a redirect, which would set it just so.
  if (!list.contains('accept', true)) list.append('accept', '*/*', true);
  if (!list.contains('accept-language', true)) list.append('accept-language', '*', true);
  if (list.contains('host', true)) list.delete('host', true);
  const ownMode = list.contains('sec-fetch-mode', true);
  if (ownMode) list.set('sec-fetch-mode', request.mode, true);

  const headers = list.entries;
  const length = contentLength(request);
  if (length !== undefined && !list.contains('content-length', true)) headers['content-length'] = length;
  if (!ownMode) headers['sec-fetch-mode'] = request.mode;
  if (!list.contains('user-agent', true)) headers['user-agent'] = 'undici';
  cacheHeaders(request, headers);
  acceptEncoding(request, url, headers);
  return headers;
}

/** The same for a caller who gave none. */
function bareHeaders(request: InnerRequest, url: URL): Record<string, string> {
  const headers: Record<string, string> = { accept: '*/*', 'accept-language': '*' };
  const length = contentLength(request);
  if (length !== undefined) headers['content-length'] = length;
  headers['sec-fetch-mode'] = request.mode;
  headers['user-agent'] = 'undici';
  headers['accept-encoding'] = encodings(url);
  return headers;
}

function encodings(url: URL): string {
  return url.protocol === 'https:' ? 'br, gzip, deflate' : 'gzip, deflate';
}

function contentLength(request: InnerRequest): string | undefined {
  const { body, method } = request;
  if (body !== null) return body.length === null ? undefined : String(body.length);
  return method === 'POST' || method === 'PUT' ? '0' : undefined;
}

function cacheHeaders(request: InnerRequest, headers: Record<string, string>): void {
  const list = request.headersList;
  let mode = request.cache;
  if (mode === 'default') {
    if (!CONDITIONAL.some((name) => list.contains(name, true))) return;
    mode = 'no-store';
  }
  const hasCacheControl = list.contains('cache-control', true);
  if (mode === 'no-cache' && !hasCacheControl) headers['cache-control'] = 'max-age=0';
  if (mode !== 'no-store' && mode !== 'reload') return;
  if (!list.contains('pragma', true)) headers['pragma'] = 'no-cache';
  if (!hasCacheControl) headers['cache-control'] = 'no-cache';
}

function acceptEncoding(request: InnerRequest, url: URL, headers: Record<string, string>): void {
  const list = request.headersList;
  const own = list.get('accept-encoding', true);
  if (list.contains('range', true)) {
    // A part of an encoded answer could not be decoded.
    const name = own === null ? 'accept-encoding' : spelling(headers, 'accept-encoding');
    headers[name] = own === null ? 'identity' : `${own}, identity`;
  } else if (own === null) {
    headers['accept-encoding'] = encodings(url);
  }
}

function spelling(headers: Record<string, string>, name: string): string {
  return Object.keys(headers).find((key) => key.toLowerCase() === name) ?? name;
}
