import type { IncomingHttpHeaders } from 'node:http2';

/** Envoy's header that names the client certificate to the application. */
const XFCC = 'x-forwarded-client-cert';
const PEER = 'x-envoy-peer-metadata';
const PEER_ID = 'x-envoy-peer-metadata-id';

/** The head of a call of HTTP/2, without what is not for filters and applications. */
export interface CallHead {
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  /** Names and values of the header lines, without those that begin with a colon. */
  readonly lines: string[];
  /** Istio's metadata exchange: who the caller says it is, and its wish to hear the same of us. */
  readonly peerMetadata: string | undefined;
  readonly peerId: string | undefined;
}

/**
 * Reads a head, and takes from it what callers must not say (Envoy SANITIZE_SET) and what is for meshes only; `element`
 * names the caller's certificate. `headers` is what the application gets: it is changed in the same way.
 */
export function callHead(
  headers: IncomingHttpHeaders,
  raw: readonly string[],
  element: string | undefined,
): CallHead {
  const lines: string[] = [];
  let peerMetadata: string | undefined;
  let peerId: string | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    // 58 is the colon of `:path`.
    if (name.charCodeAt(0) === 58) continue;
    // The length is compared first: nearly every header fails there.
    const { length } = name;
    if (length === PEER.length && name === PEER) peerMetadata = value;
    else if (length === PEER_ID.length && name === PEER_ID) peerId = value;
    else if (length !== XFCC.length || name !== XFCC) lines.push(name, value);
  }
  giveBack(headers, element);
  if (element !== undefined) lines.push(XFCC, element);
  return {
    method: headers[':method'] ?? '',
    authority: headers[':authority'] ?? headers.host ?? '',
    path: headers[':path'] ?? '',
    lines,
    peerMetadata,
    peerId,
  };
}

/** What the application sees of it. */
function giveBack(headers: IncomingHttpHeaders, element: string | undefined): void {
  if (headers[PEER] !== undefined) delete headers[PEER];
  if (headers[PEER_ID] !== undefined) delete headers[PEER_ID];
  if (element !== undefined) headers[XFCC] = element;
  else if (headers[XFCC] !== undefined) delete headers[XFCC];
}

/** Headers as HTTP/2 gives them to applications, from lines that filters changed. */
export function headersOfLines(
  pseudo: Readonly<Record<string, string>>,
  lines: readonly string[],
): IncomingHttpHeaders {
  const headers: Record<string, string | string[]> = Object.assign(Object.create(null), pseudo);
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] ?? '';
    const value = lines[i + 1] ?? '';
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else if (typeof before === 'string') headers[name] = [before, value];
    else before.push(value);
  }
  return headers;
}
