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
  const broken = findBroken(request);
  if (broken !== undefined) return broken;
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

/** A name or an address, and perhaps a port. A list, a user or a path in it means that somebody is to be misled. */
const HOST = /^(?:\[[\da-f:.]+\]|[\w.~%!$&'()*+;=-]*)(?::\d{1,5})?$/i;
/** gRPC over HTTP/2: at most eight digits and a unit. */
const GRPC_TIMEOUT = /^\d{1,8}[HMSmun]$/;

/** The answer to a head that says two things at once, or nothing that can be understood. */
function findBroken({ rawHeaders: raw }: IncomingMessage): LocalReply | undefined {
  let hosts = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    // The length tells most names apart.
    if (name.length === 4 && name.toLowerCase() === 'host') {
      hosts++;
      // RFC 9112 §3.2: more than one, or one that is none, is answered with 400.
      if (hosts > 1 || !HOST.test(raw[i + 1] ?? '')) return refusal('host');
    } else if (name.length === 12 && name.toLowerCase() === 'grpc-timeout') {
      if (!GRPC_TIMEOUT.test(raw[i + 1] ?? '')) return refusal('grpc-timeout');
    }
  }
  return undefined;
}

function refusal(name: string): LocalReply {
  return {
    status: 400,
    body: `invalid header ${name}`,
    details: `invalid_header{${name}}`,
    reason: 'INMESH_HEADER_INVALID',
    flag: 'DPE',
  };
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
