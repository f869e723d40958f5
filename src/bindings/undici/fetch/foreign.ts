import type { BodyInit, RequestInfo, RequestInit } from 'undici';
import { undici } from '../library.js';

/** What a caller may give to fetch. */
export interface FetchArguments {
  readonly input: RequestInfo | URL;
  readonly init: RequestInit | undefined;
}

const INIT_KEYS = [
  'body',
  'cache',
  'credentials',
  'dispatcher',
  'duplex',
  'headers',
  'integrity',
  'keepalive',
  'method',
  'mode',
  'priority',
  'redirect',
  'referrer',
  'referrerPolicy',
  'signal',
  'window',
] as const;

/**
 * Takes the platform's own Request and FormData objects for undici's. undici's fetch would take them for text
 * (`[object Request]`, `[object FormData]`), as every copy of undici does with the classes of another.
 */
export function adoptForeign(args: FetchArguments): FetchArguments {
  const { input, init } = args;
  const request = isForeignRequest(input) ? adoptRequest(input) : input;
  const body: unknown = init?.body;
  if (!isForeignForm(body)) return request === input ? args : { input: request, init };
  return { input: request, init: { ...copyInit(init), body: adoptForm(body) } };
}

/** The members of an init that fetch reads, wherever on its prototypes they are. */
export function copyInit(init: RequestInit | undefined): RequestInit {
  const copy: Record<string, unknown> = {};
  if (init === undefined || init === null) return copy;
  for (const key of INIT_KEYS) {
    const value = (init as Record<string, unknown>)[key];
    if (value !== undefined) copy[key] = value;
  }
  return copy;
}

function isForeignRequest(input: unknown): input is Request {
  return (
    typeof input === 'object' &&
    input !== null &&
    input instanceof globalThis.Request &&
    !(input instanceof undici.Request)
  );
}

function isForeignForm(body: unknown): body is FormData {
  return (
    typeof body === 'object' &&
    body !== null &&
    body instanceof globalThis.FormData &&
    !(body instanceof undici.FormData)
  );
}

function adoptRequest(request: Request): RequestInfo {
  if (request.bodyUsed) {
    throw new TypeError('Cannot construct a Request with a Request object that has already been used.');
  }
  const init = copyInit(request as unknown as RequestInit);
  // A Request made from a stream must say that it is sent before the answer comes.
  if (request.body !== null) init.duplex = 'half';
  if (init.referrer === 'about:client') delete init.referrer;
  return new undici.Request(request.url, init);
}

function adoptForm(form: FormData): BodyInit {
  const adopted = new undici.FormData();
  for (const [name, value] of form) {
    if (typeof value === 'string') adopted.append(name, value);
    else adopted.append(name, value, value.name);
  }
  return adopted;
}
