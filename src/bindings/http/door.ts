import type { IncomingMessage } from 'node:http';
import type { Door } from '../../mesh/door.js';
import type { LocalReply } from '../../service/local-reply.js';
import { replaceHeaderLines } from './headers.js';

const ABSOLUTE_FORM = /^([a-z][a-z0-9+.-]*:\/\/[^/?#]*)(.*)$/is;
const PREFIX = 'x-envoy-';

/**
 * Lets a request in with its path in canonical form, or gives the answer to it. A caller whose identity was verified is
 * a member of the mesh; what others may not ask for is taken off. Addresses are no identity, so that they count nothing.
 */
export function enter(
  request: IncomingMessage,
  { path, isUntrusted }: Door,
  isMember: boolean,
): LocalReply | undefined {
  if (!isMember) takeOffUntrusted(request, isUntrusted);
  const { url = '/', method } = request;
  // CONNECT names a host, and `OPTIONS *` the server.
  if (method === 'CONNECT' || (url === '*' && method === 'OPTIONS')) return undefined;
  const [, origin = '', rest = ''] = (url.startsWith('/') ? undefined : ABSOLUTE_FORM.exec(url)) ?? [];
  const target = origin === '' ? url : rest;
  const found = path(target.startsWith('?') ? `/${target}` : target);
  if (typeof found !== 'string') return found;
  if (found !== target) request.url = origin + found;
  return undefined;
}

function takeOffUntrusted(request: IncomingMessage, isUntrusted: Door['isUntrusted']): void {
  const { rawHeaders: raw } = request;
  let kept: string[] | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const isOff = hasPrefix(name) && isUntrusted(name.toLowerCase());
    if (isOff) kept ??= raw.slice(0, i);
    else kept?.push(name, raw[i + 1] ?? '');
  }
  if (kept !== undefined) replaceHeaderLines(request, kept);
}

/** The first letter tells most names apart. */
function hasPrefix(name: string): boolean {
  return (
    name.length > PREFIX.length &&
    (name.charCodeAt(0) | 0x20) === 0x78 &&
    name.slice(0, PREFIX.length).toLowerCase() === PREFIX
  );
}
