import { lookup as systemLookup } from 'node:dns';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { Clock } from '../runtime/clock.js';
import { isLoopbackName } from '../runtime/loopback.js';

/** What is asked for, and within which bounds. */
export interface WebRequest {
  /** `https:`; `http:` to this machine only. */
  readonly url: string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** PEM of the roots that vouch for the server; default: the platform's. */
  readonly ca?: string | undefined;
  readonly timeoutMs?: number;
  readonly maxBytes?: number;
  /** Addresses that may be connected to, looked at after the name was resolved; default: all. */
  readonly allowsAddress?: ((address: string) => boolean) | undefined;
}

/** What was answered. */
export interface WebAnswer {
  readonly status: number;
  readonly text: string;
  /** For how long it may be kept (`cache-control: max-age`), in milliseconds; undefined = not said. */
  readonly maxAgeMs: number | undefined;
}

/** Asks a web server; rejects when there is no whole answer. */
export type WebFetch = (request: WebRequest) => Promise<WebAnswer>;

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 1024 * 1024;

/**
 * Asks a server of the web for a small document: no redirects (who names a URL means it), TLS 1.2 at least, no kept
 * connection, everything bounded.
 */
export function createWebFetch(clock: Clock): WebFetch {
  return (request) => fetchOnce(request, clock);
}

async function fetchOnce(request: WebRequest, clock: Clock): Promise<WebAnswer> {
  const { headers = {}, body, ca, timeoutMs = TIMEOUT_MS, maxBytes = MAX_BYTES } = request;
  const url = checkedUrl(request.url);
  if (!isAllowed(url.hostname, request.allowsAddress)) throw new TypeError(`${url.host} may not be asked`);
  const options: RequestOptions = {
    method: request.method ?? 'GET',
    headers: {
      accept: 'application/json, application/jwk-set+json',
      ...headers,
      ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
    },
    agent: false,
    minVersion: 'TLSv1.2',
    maxHeaderSize: 16 * 1024,
    ...(ca !== undefined && { ca }),
    ...(request.allowsAddress !== undefined && { lookup: guarded(request.allowsAddress) }),
  };
  return new Promise((resolve, reject) => {
    const outgoing = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options);
    const fail = (error: Error) => {
      timer.cancel();
      outgoing.destroy();
      reject(error);
    };
    const timer = clock.schedule(timeoutMs, () => fail(new Error(`no answer within ${timeoutMs} ms`)));
    outgoing.on('error', fail);
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('error', fail);
      response.on('aborted', () => fail(new Error('the answer ended early')));
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > maxBytes) fail(new Error(`the answer has more than ${maxBytes} bytes`));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        timer.cancel();
        resolve({
          status: response.statusCode ?? 0,
          text: Buffer.concat(chunks).toString('utf8'),
          maxAgeMs: maxAgeOf(response.headers['cache-control']),
        });
      });
    });
    outgoing.end(body);
  });
}

/** @throws TypeError for what is no URL that may be asked. */
export function checkedUrl(text: string): URL {
  const url = new URL(text);
  if (url.username !== '' || url.password !== '')
    throw new TypeError('a URL with a password in it is not used');
  if (url.protocol === 'https:') return url;
  if (url.protocol === 'http:' && isLoopbackName(url.host)) return url;
  throw new TypeError(`${url.protocol}//${url.host} is not asked: only https, and http to this machine`);
}

/** An address in the URL is connected to without a look-up. */
function isAllowed(hostname: string, allows: WebRequest['allowsAddress']): boolean {
  const bare = hostname.replace(/^\[(.*)\]$/, '$1');
  return allows === undefined || isIP(bare) === 0 || allows(bare);
}

/** Names are judged by what they resolve to at the moment of the connection: what was checked before may have changed. */
function guarded(allows: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    systemLookup(hostname, { ...options, all: true }, (error, addresses) => {
      const allowed = error === null ? addresses.filter(({ address }) => allows(address)) : [];
      const [first] = allowed;
      if (first === undefined) {
        callback(error ?? new Error(`no address of ${hostname} may be asked`), '', 0);
      } else if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

function maxAgeOf(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (/\bno-(?:store|cache)\b/i.test(header)) return 0;
  const seconds = /\bmax-age=(\d{1,10})\b/i.exec(header)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
