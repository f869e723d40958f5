import type { Dispatcher, Request, RequestInit, Response } from 'undici';
import { undici } from '../library.js';
import { FetchExchange, FetchFailure, type FetchParts } from './exchange.js';
import { adoptForeign, copyInit, type FetchArguments } from './foreign.js';
import { type FetchInternals, type InnerRequest, loadFetchInternals } from './internals.js';
import { quickRequest } from './quick-request.js';

type PlatformFetch = typeof globalThis.fetch;

/**
 * Makes a `fetch` that sends through the given dispatcher: undici's fetch in everything that can be observed, with its
 * very Request, Response and Headers objects, at a part of its price. Between the two, undici's fetch makes some thirty
 * objects, streams and promises per request that nobody sees; here the dispatcher's events go straight into the
 * response. A `dispatcher` in `init` or of the Request wins.
 */
export function createDispatchingFetch(
  dispatcher: Dispatcher,
  internals: FetchInternals | null = loadFetchInternals(),
): PlatformFetch {
  const send =
    internals === null
      ? (args: FetchArguments) => undiciFetch(dispatcher, args)
      : (args: FetchArguments) => start(dispatcher, internals, args);
  // A function of this very name and length, as undici's; its types and the platform's describe the same.
  return function fetch(input, ...[init]) {
    return attempt(send, { input, init } as unknown as FetchArguments);
  } as PlatformFetch;
}

/** Whatever is wrong with the arguments rejects. */
function attempt(send: (args: FetchArguments) => Promise<unknown>, args: FetchArguments): Promise<unknown> {
  try {
    return send(adoptForeign(args));
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Makes the error of a failed fetch where its stack still knows who awaits it. */
function explain(reason: unknown): never {
  throw reason instanceof FetchFailure ? new TypeError('fetch failed', { cause: reason.cause }) : reason;
}

/** undici's own fetch, for what it does elsewhere. */
function undiciFetch(dispatcher: Dispatcher, { input, init }: FetchArguments): Promise<unknown> {
  // undici says itself what is wrong with what is no object.
  if (init !== undefined && init !== null && typeof init !== 'object' && typeof init !== 'function') {
    return undici.fetch(input, init);
  }
  const own = copyInit(init);
  return undici.fetch(input, { ...own, dispatcher: own.dispatcher ?? dispatcher });
}

/** Responses by whose body the caller's Request still gets its signal. */
const requestOf = new WeakMap<object, Request>();

function start(
  own: Dispatcher,
  internals: FetchInternals,
  { input, init }: FetchArguments,
): Promise<unknown> {
  const quick = quickRequest(input, init, internals);
  if (quick !== undefined) {
    const { request, signal } = quick;
    const parts = { internals, dispatcher: own, requestObject: undefined, request, isPiped: false };
    return signal?.aborted === true ? Promise.reject(signal.reason) : run(parts, signal);
  }
  const requestObject = new undici.Request(input, init);
  const request = internals.requestState(requestObject);
  const { signal } = requestObject;
  if (signal.aborted) {
    request.body?.stream?.cancel(signal.reason).catch(() => {});
    return Promise.reject(signal.reason);
  }
  const dispatcher = internals.requestDispatcher(requestObject) ?? own;
  if (isRare(request)) {
    const again = internals.fromInnerRequest(request, dispatcher, signal, 'request');
    return undici.fetch(again, referrerOf(request)).then((response) => {
      requestOf.set(response.body ?? response, requestObject);
      return response;
    });
  }
  const isPiped = input instanceof undici.Request;
  const parts = { internals, dispatcher, requestObject, request, isPiped };
  return run(parts, isPiped || hasSignal(init) ? signal : undefined);
}

/** Without a signal of the caller's nobody can abort it. */
function run(parts: FetchParts, signal: AbortSignal | undefined): Promise<Response> {
  return new Promise<Response>((resolve, reject) => {
    new FetchExchange(parts, { resolve, reject }).send(signal);
  }).catch(explain);
}

function hasSignal(init: FetchArguments['init']): boolean {
  const signal: unknown = init?.signal;
  return signal !== undefined && signal !== null;
}

/** A Request does not hand its referrer on to the one that is made of it. */
function referrerOf({ referrer, referrerPolicy }: InnerRequest): RequestInit {
  if (referrer === 'client') return { referrerPolicy };
  return { referrer: referrer instanceof URL ? referrer.href : '', referrerPolicy };
}

/** What is not worth a second implementation: local URLs, integrity, referrers. */
function isRare(request: InnerRequest): boolean {
  const { protocol } = request.url;
  return (
    (protocol !== 'http:' && protocol !== 'https:') ||
    request.integrity !== '' ||
    typeof request.referrer !== 'string' ||
    (request.referrer !== 'client' && request.referrer !== 'no-referrer') ||
    undici.getGlobalOrigin() !== undefined
  );
}
