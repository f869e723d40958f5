import type * as Undici from 'undici';
import type { ReferrerPolicy } from 'undici';
import { undici, undiciModule } from '../library.js';

/** A list of headers as undici keeps it: names by lower case, in the order they came first. */
export interface HeadersList {
  append(name: string, value: string, isLowerCase: boolean): void;
  set(name: string, value: string, isLowerCase: boolean): void;
  delete(name: string, isLowerCase: boolean): void;
  get(name: string, isLowerCase: boolean): string | null;
  contains(name: string, isLowerCase: boolean): boolean;
  /** By the names as they were spelled. */
  readonly entries: Record<string, string>;
}

/** The body of a request or response. */
export interface InnerBody {
  /** Left out when only its source will be sent. */
  readonly stream?: ReadableStream<Uint8Array>;
  /** What the stream was made of, when it can be made again. */
  readonly source: unknown;
  readonly length: number | null;
}

/** What a Request object stands for (the Fetch standard's "request"). */
export interface InnerRequest {
  method: string;
  body: InnerBody | null;
  readonly url: URL;
  readonly urlList: URL[];
  readonly headersList: HeadersList;
  /** The list is empty, and stays so: neither the caller nor the body brought a header. */
  readonly isBare?: boolean;
  readonly mode: 'same-origin' | 'no-cors' | 'cors';
  readonly cache: string;
  readonly redirect: 'follow' | 'error' | 'manual';
  readonly integrity: string;
  /** `client`, `no-referrer` or a URL. */
  readonly referrer: unknown;
  readonly referrerPolicy: ReferrerPolicy;
}

/** What a Response object stands for. */
export interface InnerResponse {
  type: string;
  status: number;
  statusText: string;
  headersList: HeadersList;
  body: InnerBody | null;
  urlList: URL[];
  timingInfo: unknown;
  timingAllowPassed: boolean;
  rangeRequested: boolean;
}

/** The parts of undici's fetch that its public API does not show. */
export interface FetchInternals {
  readonly HeadersList: new () => HeadersList;
  readonly requestState: (request: Undici.Request) => InnerRequest;
  readonly requestDispatcher: (request: Undici.Request) => Undici.Dispatcher | undefined;
  /** A Request object of a request, its dispatcher and its signal. */
  readonly fromInnerRequest: (
    request: InnerRequest,
    dispatcher: Undici.Dispatcher,
    signal: AbortSignal,
    guard: 'request',
  ) => Undici.Request;
  readonly makeResponse: (init: Partial<InnerResponse>) => InnerResponse;
  readonly fromInnerResponse: (response: InnerResponse, guard: 'immutable') => Undici.Response;
  readonly createInflate: (options: object) => NodeJS.ReadWriteStream;
}

/**
 * undici's internals when this version has them as we know them, else null. They are no public API, so each is
 * tried before it is trusted; without them fetch is undici's own, with the same behaviour at its price.
 */
export function loadFetchInternals(load: (path: string) => unknown = undiciModule): FetchInternals | null {
  try {
    const { HeadersList } = load('lib/web/fetch/headers.js') as FetchInternals;
    const requests = load('lib/web/fetch/request.js') as {
      getRequestState: FetchInternals['requestState'];
      getRequestDispatcher: FetchInternals['requestDispatcher'];
      fromInnerRequest: FetchInternals['fromInnerRequest'];
    };
    const { makeResponse, fromInnerResponse } = load('lib/web/fetch/response.js') as FetchInternals;
    const { createInflate } = load('lib/web/fetch/util.js') as FetchInternals;
    const internals: FetchInternals = {
      HeadersList,
      requestState: requests.getRequestState,
      requestDispatcher: requests.getRequestDispatcher,
      fromInnerRequest: requests.fromInnerRequest,
      makeResponse,
      fromInnerResponse,
      createInflate,
    };
    return requestsWork(internals) && responsesWork(internals) && typeof createInflate === 'function'
      ? internals
      : null;
  } catch {
    return null;
  }
}

function requestsWork(internals: FetchInternals): boolean {
  const dispatcher = { dispatch: () => true } as unknown as Undici.Dispatcher;
  const request = new undici.Request('http://a.test/b?c#d', {
    method: 'POST',
    body: 'e',
    headers: { 'X-F': 'g' },
    redirect: 'manual',
    dispatcher,
  });
  const state = internals.requestState(request);
  const again = internals.fromInnerRequest(state, dispatcher, request.signal, 'request');
  const { 'X-F': spelled, 'content-type': type } = state.headersList.entries;
  return (
    state.method === 'POST' &&
    state.url.href === 'http://a.test/b?c#d' &&
    state.urlList[0] === state.url &&
    state.body?.source === 'e' &&
    state.body.length === 1 &&
    state.body.stream === (request.body as unknown) &&
    spelled === 'g' &&
    type === 'text/plain;charset=UTF-8' &&
    state.headersList.contains('x-f', true) &&
    state.mode === 'cors' &&
    state.cache === 'default' &&
    state.redirect === 'manual' &&
    state.integrity === '' &&
    state.referrer === 'client' &&
    state.referrerPolicy === '' &&
    internals.requestDispatcher(request) === dispatcher &&
    internals.requestDispatcher(again) === dispatcher &&
    again instanceof undici.Request
  );
}

function responsesWork(internals: FetchInternals): boolean {
  const headersList = new internals.HeadersList();
  headersList.append('set-cookie', 'a', true);
  headersList.append('set-cookie', 'b', true);
  // The types know no underlying source of bytes.
  const stream = new ReadableStream<Uint8Array>({ type: 'bytes' } as object);
  const state = internals.makeResponse({ type: 'basic', status: 299, statusText: 'c' });
  state.headersList = headersList;
  state.urlList = [new URL('http://a.test/'), new URL('http://b.test/#d')];
  const response = internals.fromInnerResponse(state, 'immutable');
  state.body = { stream, source: null, length: null };
  return (
    response instanceof undici.Response &&
    Object.getPrototypeOf(response) === undici.Response.prototype &&
    response.type === 'basic' &&
    response.status === 299 &&
    response.statusText === 'c' &&
    response.headers.getSetCookie().join() === 'a,b' &&
    response.url === 'http://b.test/' &&
    response.redirected &&
    response.body === (stream as unknown) &&
    isImmutable(response.headers)
  );
}

function isImmutable(headers: Undici.Headers): boolean {
  try {
    headers.set('a', 'b');
    return false;
  } catch {
    return true;
  }
}
