import type { ClientRequest, IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import type { Clock } from '../../runtime/clock.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import { authorizeIds } from '../authorizer.js';
import type { X509Bundle } from '../bundle.js';
import type { SpiffeId } from '../spiffe-id.js';
import { explainTlsError } from '../tls-error.js';
import { peerChain } from '../tls-options.js';
import { verifyPeer } from '../verify.js';

const TIMEOUT_MS = 30_000;
const MAX_BYTES = 4 * 1024 * 1024;

/** By what the server of a bundle is known (SPIFFE Federation §5.2). */
export type EndpointTrust =
  /** A certificate of the web, for the host of the URL. */
  | { readonly kind: 'https_web'; readonly roots: readonly string[] | undefined }
  /** An X.509-SVID, by the bundle of its trust domain. */
  | { readonly kind: 'https_spiffe'; readonly id: SpiffeId; readonly bundle: X509Bundle };

/** One request for a bundle. */
export interface BundleRequest {
  readonly url: URL;
  readonly trust: EndpointTrust;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * The URL of a bundle endpoint: https, without user and password (SPIFFE Federation §5.2.1.1).
 * @throws MeshError `INMESH_OPTION_INVALID`.
 */
export function bundleUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isGood = url?.protocol === 'https:' && url.username === '' && url.password === '' && url.hash === '';
  if (isGood) return url;
  throw new MeshError('INMESH_OPTION_INVALID', `${JSON.stringify(text)} is no URL of a bundle endpoint`, {
    hint: 'It begins with https:// and has neither a user nor a fragment',
  });
}

/** Fetches a document once, of bounded size, in bounded time, and from nowhere else than the URL says. */
export async function fetchBundle(options: BundleRequest): Promise<Buffer> {
  const { url, clock, signal, trust } = options;
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const call = request(url, { ...transportOf(options), headers: { accept: 'application/json' } });
    const finish = (error: unknown, body?: Buffer) => {
      timer.cancel();
      signal.removeEventListener('abort', abort);
      if (body === undefined) call.destroy();
      if (body !== undefined) resolve(body);
      else reject(explain(error, url, trust));
    };
    const abort = () => finish(signal.reason);
    const timer = clock.schedule(TIMEOUT_MS, () =>
      finish(unavailable(url, `no answer within ${TIMEOUT_MS} ms`)),
    );
    signal.addEventListener('abort', abort);
    receive(call, url, finish);
    call.end();
  });
}

function receive(call: ClientRequest, url: URL, finish: (error: unknown, body?: Buffer) => void): void {
  call.on('error', finish);
  call.on('response', (response: IncomingMessage) => {
    const { statusCode = 0 } = response;
    if (statusCode !== 200) {
      // A redirect would let whoever answers choose another server, on this network, too.
      const what =
        statusCode >= 300 && statusCode < 400 ? 'a redirect, which is not followed' : `status ${statusCode}`;
      finish(unavailable(url, `it answered with ${what}`));
      return;
    }
    const parts: Buffer[] = [];
    let bytes = 0;
    response.on('data', (part: Buffer) => {
      bytes += part.length;
      parts.push(part);
      if (bytes > MAX_BYTES) finish(unavailable(url, `its answer is larger than ${MAX_BYTES} bytes`));
    });
    response.on('error', finish);
    response.on('aborted', () => finish(unavailable(url, 'its answer was cut short')));
    response.on('end', () => finish(undefined, Buffer.concat(parts)));
  });
}

function transportOf({ url, trust, clock }: BundleRequest): RequestOptions {
  const minVersion = 'TLSv1.2';
  if (trust.kind === 'https_web') {
    // An agent would keep sessions, and a resumed one is not verified again.
    return { agent: false, minVersion, ...(trust.roots !== undefined && { ca: [...trust.roots] }) };
  }
  return {
    createConnection(_, created) {
      connectBySvid(url, trust, clock, created);
      return undefined;
    },
  };
}

/** Hands the connection over when its other end has proven to be the endpoint, and not before. */
function connectBySvid(
  url: URL,
  { id, bundle }: Extract<EndpointTrust, { kind: 'https_spiffe' }>,
  clock: Clock,
  created: (error: Error | null, socket: Duplex) => void,
): void {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const socket = connect({
    host,
    port: url.port === '' ? 443 : Number(url.port),
    servername: isIP(host) === 0 ? host : '',
    minVersion: 'TLSv1.2',
    ca: [...bundle.authorities],
    rejectUnauthorized: true,
    // The name of the host means nothing: who it is, is decided below.
    checkServerIdentity: () => undefined,
  });
  const fail = (error: Error) => {
    socket.off('error', fail);
    socket.on('error', () => {});
    socket.destroy();
    created(error, socket);
  };
  socket.on('error', fail);
  socket.once('secureConnect', () => {
    try {
      verifyPeer(peerChain(socket), (name) => (name === bundle.trustDomain ? bundle : undefined), {
        nowMs: clock.wallTime(),
        authorizer: authorizeIds([id]),
      });
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    socket.off('error', fail);
    created(null, socket);
  });
}

function explain(error: unknown, url: URL, trust: EndpointTrust): MeshError {
  if (MeshError.is(error) && error.code === 'INMESH_BUNDLE_UNAVAILABLE') return error;
  const cause = trust.kind === 'https_spiffe' ? explainTlsError(error, url.host) : error;
  return unavailable(url, messageOf(cause), cause);
}

function unavailable(url: URL, why: string, cause?: unknown): MeshError {
  return new MeshError('INMESH_BUNDLE_UNAVAILABLE', `the bundle can not be fetched: ${why}`, {
    resource: `${url.origin}${url.pathname}`,
    cause,
    hint: 'Check the URL of the bundle endpoint, its profile, and that it runs; the last good bundle stays in use',
  });
}
