import type { Dispatcher, Request, Response } from 'undici';
import type { Unsubscribe } from '../../../runtime/abort.js';
import type { BodyStream } from './body-stream.js';
import { followSignal } from './follow-signal.js';
import { Hop, type HopOwner } from './hop.js';
import type { FetchInternals, HeadersList, InnerRequest } from './internals.js';
import { applyRedirect, isRedirect, isSameOrigin, redirectLocation, redirectRefusal } from './redirect.js';
import { type BodySender, type OutgoingBody, outgoingBody, renewBody } from './request-body.js';
import { requestHeaders } from './request-headers.js';
import { type FetchTiming, redirected, reportTiming, startTiming } from './timing.js';
import { cancelWhenDropped } from './unread.js';

/** Why a fetch has no response: the reason of an abort as it is, everything else below a TypeError. */
export class FetchFailure {
  readonly cause: unknown;

  constructor(reason: unknown) {
    // Fetch takes what is no error for a message.
    this.cause = isErrorLike(reason) ? reason : new Error(reason as string | undefined);
  }
}

const TURN = Promise.resolve();
const NULL_BODY = new Set([101, 204, 205, 304]);
/** Fetch standard, bad ports. */
const BAD_PORTS = new Set(
  (
    '1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 123 ' +
    '135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 ' +
    '993 995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080'
  ).split(' '),
);

/** How to settle the promise of a fetch. */
export interface Settle {
  resolve(response: Response): void;
  /** With the reason of an abort, or a FetchFailure. */
  reject(reason: unknown): void;
}

/** What a fetch is made of. */
export interface FetchParts {
  readonly internals: FetchInternals;
  readonly dispatcher: Dispatcher;
  /** Kept while the fetch runs, if there is one: the caller's signal reaches it through this object only. */
  readonly requestObject: Request | undefined;
  readonly request: InnerRequest;
  /** Whether the caller gave a Request, whose body flows into this one's. */
  readonly isPiped: boolean;
}

/** One call of fetch over HTTP, from the request to the end of the response's body. */
export class FetchExchange implements HopOwner, BodySender {
  readonly internals: FetchInternals;
  readonly timing: FetchTiming = startTiming();
  readonly #parts: FetchParts;
  /** Dropped when it was used: it holds the response, which nobody but the caller may keep alive. */
  #settle: Settle | undefined;
  #state: 'ongoing' | 'aborted' | 'terminated' = 'ongoing';
  #endReason: unknown;
  #hop: Hop | undefined;
  #outgoing: OutgoingBody | undefined;
  #body: BodyStream | undefined;
  #unlink: Unsubscribe | undefined;
  #redirects = 0;
  #tainting: 'basic' | 'cors' | 'opaque' = 'basic';
  #isRepeated = false;
  #isReported = false;
  #status = 0;

  constructor(parts: FetchParts, settle: Settle) {
    this.internals = parts.internals;
    this.#parts = parts;
    this.#settle = settle;
  }

  get isCancelled(): boolean {
    return this.#state !== 'ongoing';
  }

  /** Sends the request, to be aborted by that signal. */
  send(signal: AbortSignal | undefined): void {
    if (signal !== undefined) this.#unlink = followSignal(signal, () => this.#aborted(signal.reason));
    this.#send();
  }

  /** Sends the request, or what a redirect made of it. */
  #send(): void {
    const { request, dispatcher, isPiped } = this.#parts;
    const url = this.#url;
    if (BAD_PORTS.has(url.port)) {
      // Nothing was sent: no resource either.
      this.#isReported = true;
      this.#networkError('bad port');
      return;
    }
    const hasOwnLength = request.headersList.contains('content-length', true);
    const headers = requestHeaders(request, url);
    const hop = new Hop(this);
    this.#hop = hop;
    const isMock = (dispatcher as { isMockActive?: boolean }).isMockActive === true;
    if (!isMock) this.#outgoing = outgoingBody(request.body, { hasOwnLength, isPiped }, this);
    const mockBody = request.body && (request.body.source ?? request.body.stream);
    const options: Dispatcher.DispatchOptions = {
      path: pathOf(url),
      origin: url.origin,
      method: request.method,
      // undici's MockAgent compares bodies, so it gets them as the caller gave them.
      body: isMock
        ? (mockBody as Dispatcher.DispatchOptions['body'] & string)
        : (this.#outgoing?.value ?? null),
      headers,
    };
    try {
      dispatcher.dispatch(options, hop);
    } catch (error) {
      this.failed(hop, error);
    }
  }

  /** The caller gives up: before the response came, or while its body does. */
  #aborted(reason: unknown): void {
    this.#reject(reason);
    this.#abort(reason);
    this.#outgoing?.cancel(reason);
  }

  answered(hop: Hop, status: number, headers: HeadersList, statusText: string): void {
    const { request } = this.#parts;
    if (status === 407) {
      // There is nobody to ask for the credentials of a proxy.
      hop.discard();
      this.#networkError('');
    } else if (
      status === 421 &&
      !this.#isRepeated &&
      (request.body === null || request.body.source !== null)
    ) {
      // Misdirected: once more, on another connection.
      this.#isRepeated = true;
      this.#hop = undefined;
      hop.destroy();
      this.#sendAgain();
    } else if (isRedirect(status) && request.redirect === 'error') {
      hop.discard();
      this.#networkError('unexpected redirect');
    } else if (!isRedirect(status) || request.redirect === 'manual' || !this.#follow(hop, status, headers)) {
      this.#respond(hop, status, headers, statusText);
    }
  }

  failed(hop: Hop, error: unknown): void {
    // What a redirect left behind is of no interest.
    if (hop !== this.#hop) return;
    // Our own reason comes back by way of the connection, perhaps as something else.
    const reason = this.#state === 'terminated' ? this.#endReason : error;
    this.#terminate(error);
    if (this.#status !== 0) return;
    if (this.#state === 'aborted' && nameOf(error) === 'AbortError') {
      // Its promise was rejected already, or its own body aborted it.
      this.#reject(this.#endReason);
      return;
    }
    this.#networkError(reason);
  }

  bodyFailed(error: unknown): void {
    // What fetch does when the caller's stream fails, null included.
    if ((error as Error).name === 'AbortError') this.#abort(undefined);
    else this.#terminate(error);
  }

  bodyCancelled(reason: unknown): void {
    this.#abort(reason);
  }

  bodyOver(decodedBytes: number): void {
    this.timing.decodedBodySize = decodedBytes;
    this.#unlink?.();
    this.#report();
  }

  get #url(): URL {
    const { urlList, url } = this.#parts.request;
    return urlList.at(-1) ?? url;
  }

  /** Follows a redirect; false when it leads nowhere, so that it is the answer itself. */
  #follow(hop: Hop, status: number, headers: HeadersList): boolean {
    const { request } = this.#parts;
    const from = this.#url;
    let location: URL | undefined;
    try {
      location = redirectLocation(headers, from);
    } catch (error) {
      hop.discard();
      this.#networkError(error);
      return true;
    }
    if (location === undefined) return false;
    hop.discard();
    const refusal = redirectRefusal(request, status, location, this.#redirects, this.#tainting);
    if (refusal !== undefined) {
      this.#networkError(refusal);
      return true;
    }
    this.#redirects++;
    applyRedirect(request, status, from, location);
    redirected(this.timing);
    if (BAD_PORTS.has(location.port)) this.#networkError('bad port');
    else if (this.#taint(location)) this.#sendAgain();
    else this.#networkError('request mode cannot be "same-origin"');
    return true;
  }

  /** Fetch standard, main fetch: what the response's type will be; false when the mode forbids the origin. */
  #taint(to: URL): boolean {
    const { url, mode } = this.#parts.request;
    if (this.#tainting === 'basic' && isSameOrigin(url, to)) return true;
    if (mode === 'same-origin') return false;
    this.#tainting = mode === 'no-cors' ? 'opaque' : 'cors';
    return true;
  }

  #sendAgain(): void {
    renewBody(this.#parts.request, this.internals);
    this.#send();
  }

  #respond(hop: Hop, status: number, headersList: HeadersList, statusText: string): void {
    const { internals } = this;
    const { request } = this.#parts;
    const isOpaque = this.#tainting === 'opaque';
    const hasBody = request.method !== 'HEAD' && !NULL_BODY.has(status) && !isOpaque;
    if (hasBody) {
      const body = hop.openBody(headersList.get('content-encoding', true));
      // Refused: the hop has failed already.
      if (body === undefined) return;
      this.#body = body;
    } else hop.discard();
    const state = internals.makeResponse({ type: this.#tainting });
    state.status = isOpaque ? 0 : status;
    state.statusText = isOpaque ? '' : statusText;
    state.headersList = headersList;
    state.urlList = [...request.urlList];
    state.rangeRequested = request.headersList.contains('range', true);
    state.timingInfo = this.timing;
    state.timingAllowPassed = true;
    this.#status = status;
    const response = internals.fromInnerResponse(state, 'immutable');
    hop.res = response;
    if (this.#body === undefined) {
      this.#deliver(response);
      void TURN.then(() => {
        hop.res = undefined;
      });
      if (isOpaque) this.#isReported = true;
      else this.bodyOver(0);
    } else {
      // Set here and not before: undici would watch every response for being dropped.
      state.body = { stream: this.#body.stream, source: null, length: null };
      void this.#deliverWithBody(response, hop, this.#body.stream);
    }
  }

  /**
   * What came along with the head arrives within two turns. A body that is whole by then holds no connection, so that
   * nobody needs to notice when its response is dropped; that costs more than all else of a small response.
   */
  async #deliverWithBody(response: Response, hop: Hop, body: ReadableStream<Uint8Array>): Promise<void> {
    await TURN;
    await TURN;
    hop.res = undefined;
    if (!hop.isComplete) cancelWhenDropped(response, body);
    this.#deliver(response);
  }

  #deliver(response: Response): void {
    this.#settle?.resolve(response);
    this.#settle = undefined;
  }

  #networkError(reason: unknown): void {
    this.#reject(new FetchFailure(reason));
    // As undici does: an attempt that failed is a resource of status 0.
    this.#report();
  }

  #reject(reason: unknown): void {
    this.#unlink?.();
    this.#settle?.reject(reason);
    this.#settle = undefined;
  }

  #abort(reason: unknown): void {
    if (this.#state !== 'ongoing') return;
    this.#state = 'aborted';
    this.#endReason = reason || new DOMException('The operation was aborted.', 'AbortError');
    this.#hop?.destroy(this.#endReason);
    this.#body?.fail(this.#endReason);
  }

  #terminate(reason: unknown): void {
    if (this.#state !== 'ongoing') return;
    this.#state = 'terminated';
    this.#endReason = reason;
    this.#hop?.destroy(reason);
    this.#body?.fail(
      new TypeError('terminated', isErrorLike(reason) ? { cause: reason } : { cause: undefined }),
    );
  }

  #report(): void {
    if (this.#isReported) return;
    this.#isReported = true;
    reportTiming(this.timing, this.#parts.request.urlList[0] ?? this.#url, this.#status);
  }
}

function pathOf(url: URL): string {
  const { pathname, search } = url;
  if (search !== '') return pathname + search;
  // A question mark without a query is part of what is asked for.
  const { href, hash } = url;
  return href.charCodeAt(href.length - hash.length - 1) === 63 ? `${pathname}?` : pathname;
}

function isErrorLike(value: unknown): boolean {
  if (value instanceof Error) return true;
  const name = (value as { constructor?: { name?: unknown } } | null | undefined)?.constructor?.name;
  return name === 'Error' || name === 'DOMException';
}

function nameOf(error: unknown): unknown {
  return (error as { name?: unknown } | null | undefined)?.name;
}
