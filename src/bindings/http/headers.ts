import type { IncomingMessage } from 'node:http';

/** Envoy's header that names the client certificate to the application, in lower case. */
const XFCC = 'x-forwarded-client-cert';

/** Istio's metadata exchange: who the caller is, and the caller's wish to hear the same of us. */
export interface PeerHeaders {
  readonly metadata: string | undefined;
  readonly id: string | undefined;
}

const NO_PEER: PeerHeaders = { metadata: undefined, id: undefined };
const PEER_PREFIX = 'x-envoy-peer-metadata';

/** Takes the headers of the metadata exchange off a request: they are for meshes, not for applications. */
export function takePeerHeaders(request: IncomingMessage): PeerHeaders {
  const raw = request.rawHeaders;
  let found: { metadata: string | undefined; id: string | undefined } | undefined;
  for (let i = raw.length - 2; i >= 0; i -= 2) {
    const name = raw[i];
    // The length is compared first: nearly every header fails there, without a copy in lower case.
    if (name?.length !== 21 && name?.length !== 24) continue;
    const lower = name.toLowerCase();
    if (!lower.startsWith(PEER_PREFIX) || (lower.length === 24 && !lower.endsWith('-id'))) continue;
    if (found === undefined) {
      // Read first: Node derives them from the lines on first use, by a count that the removal makes wrong.
      void request.headers;
      found = { metadata: undefined, id: undefined };
    }
    if (lower.length === 21) found.metadata = raw[i + 1];
    else found.id = raw[i + 1];
    delete request.headers[lower];
    raw.splice(i, 2);
  }
  if (found === undefined) return NO_PEER;
  setLines(request, raw, request.headers);
  return found;
}

/**
 * Sets the header lines of a received message, so that `headers`, `headersDistinct` and `rawHeaders` agree.
 * Node counts the lines it parsed in a private field; its own `_addHeaderLines` is the way to set that count.
 */
interface HeaderLines {
  _addHeaderLines?(lines: string[], count: number): void;
}

/**
 * Removes any `x-forwarded-client-cert` that the client sent and, when `element` is given, puts that one in its place
 * (Envoy SANITIZE and SANITIZE_SET): an application may then trust the header.
 */
export function setForwardedClientCert(request: IncomingMessage, element: string | undefined): void {
  // Read first: Node derives them from the lines on first use, by a count that the removal makes wrong.
  const { headers, rawHeaders: raw } = request;
  let changed = removeLines(raw);
  if (element !== undefined) {
    raw.push('X-Forwarded-Client-Cert', element);
    changed = true;
  }
  if (!changed) return;
  if (element === undefined) delete headers[XFCC];
  else headers[XFCC] = element;
  setLines(request, raw, headers);
}

/** Gives a request other header lines, after a filter changed them. */
export function replaceHeaderLines(request: IncomingMessage, lines: readonly string[]): void {
  setLines(request, [...lines], undefined);
}

function removeLines(raw: string[]): boolean {
  let removed = false;
  for (let i = raw.length - 2; i >= 0; i -= 2) {
    const name = raw[i];
    // The length is compared first: nearly every header fails there, without a copy in lower case.
    if (name === undefined || name.length !== XFCC.length || name.toLowerCase() !== XFCC) continue;
    raw.splice(i, 2);
    removed = true;
  }
  return removed;
}

/** Without `headers`, they are derived from the lines: by Node when they are first asked for. */
function setLines(
  request: IncomingMessage,
  lines: string[],
  headers: IncomingMessage['headers'] | undefined,
): void {
  const message: Omit<IncomingMessage, 'headers'> & HeaderLines & { headers: unknown } = request;
  // Once a message is complete, Node takes lines for trailers.
  if (typeof message._addHeaderLines === 'function' && lines.length > 0 && !request.complete) {
    // With no object there to fill, only the lines and their count are set.
    message.headers = undefined;
    message._addHeaderLines(lines, lines.length);
    if (headers !== undefined) message.headers = headers;
    return;
  }
  const values = distinct(lines);
  message.rawHeaders = lines;
  message.headersDistinct = values;
  message.headers = headers ?? joined(values);
}

function distinct(lines: readonly string[]): NodeJS.Dict<string[]> {
  const values: NodeJS.Dict<string[]> = Object.create(null) as NodeJS.Dict<string[]>;
  for (let i = 0; i < lines.length; i += 2) {
    const name = (lines[i] ?? '').toLowerCase();
    const value = lines[i + 1] ?? '';
    const old = values[name];
    if (old === undefined) values[name] = [value];
    else old.push(value);
  }
  return values;
}

function joined(values: NodeJS.Dict<string[]>): IncomingMessage['headers'] {
  const headers: IncomingMessage['headers'] = {};
  for (const [name, list = []] of Object.entries(values)) {
    headers[name] = name === 'set-cookie' ? list : list.join(name === 'cookie' ? '; ' : ', ');
  }
  return headers;
}
