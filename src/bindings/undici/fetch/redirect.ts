import type { HeadersList, InnerRequest } from './internals.js';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const MAX_REDIRECTS = 20;
/** Fetch standard: request-body-header names. */
const BODY_HEADERS = [
  'content-encoding',
  'content-language',
  'content-location',
  'content-type',
  'content-length',
];

export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status);
}

/**
 * Where a redirect leads: undefined when it names no place.
 * @throws TypeError when what it names is no URL.
 */
export function redirectLocation(headers: HeadersList, current: URL): URL | undefined {
  const location = headers.get('location', true);
  if (location === null) return undefined;
  const url = new URL(encoded(location), current);
  if (url.hash === '') url.hash = current.hash;
  return url;
}

/** Whether a redirect may be followed; if not, why. `count` redirects were followed before. */
export function redirectRefusal(
  request: InnerRequest,
  status: number,
  location: URL,
  count: number,
  tainting: string,
): string | undefined {
  if (location.protocol !== 'http:' && location.protocol !== 'https:') {
    return 'URL scheme must be a HTTP(S) scheme';
  }
  if (count === MAX_REDIRECTS) return 'redirect count exceeded';
  if (location.username !== '' || location.password !== '') {
    if (request.mode === 'cors') return 'cross origin not allowed for request mode "cors"';
    if (tainting === 'cors') return 'URL cannot contain credentials for request mode "cors"';
  }
  // A stream is gone once it was sent.
  if (status !== 303 && request.body !== null && request.body.source === null) return '';
  return undefined;
}

/** Turns a request into the one that a redirect asks for (Fetch standard, HTTP-redirect fetch). */
export function applyRedirect(request: InnerRequest, status: number, from: URL, to: URL): void {
  const { method, headersList } = request;
  const becomesGet =
    ((status === 301 || status === 302) && method === 'POST') ||
    (status === 303 && method !== 'GET' && method !== 'HEAD');
  if (becomesGet) {
    request.method = 'GET';
    request.body = null;
    for (const name of BODY_HEADERS) headersList.delete(name, true);
  }
  if (!isSameOrigin(from, to)) {
    // What proves who the caller is belongs to the origin that it was meant for.
    for (const name of ['authorization', 'proxy-authorization', 'cookie', 'host']) {
      headersList.delete(name, true);
    }
  }
  request.urlList.push(to);
}

export function isSameOrigin(a: URL, b: URL): boolean {
  return a.protocol === b.protocol && a.hostname === b.hostname && a.port === b.port;
}

/** Bytes beyond ASCII are UTF-8. */
function encoded(location: string): string {
  return /^[\x20-\x7e]*$/.test(location) ? location : Buffer.from(location, 'latin1').toString('utf8');
}
