import type { Duplex } from 'node:stream';
import type { Abort } from '../runtime/abort.js';
import type { Body } from './body.js';
import type { Completion } from './completion.js';
import type { Exchange } from './context.js';
import type { HeaderMap } from './headers.js';

/** What routing looks at. */
export interface RequestHead {
  readonly method: string;
  /** `http` or `https`. */
  readonly scheme: string;
  /** Host and, when given, port. */
  readonly authority: string;
  /** Path with query, starting with `/`. */
  readonly path: string;
  readonly headers: HeaderMap;
}

/** One request on its way through the stack. Filters change it in place; each attempt gets its own copy. */
export interface Request extends RequestHead {
  method: string;
  scheme: string;
  authority: string;
  path: string;
  headers: HeaderMap;
  body: Body;
  /** Cancelled when the caller gives up; `abort.signal` is the platform's AbortSignal. */
  abort: Abort;
  readonly context: Exchange;
}

/** The answer to a request, from upstream or made here. */
export interface Response {
  readonly status: number;
  /** Reason phrase as received; may be empty. */
  readonly statusText: string;
  readonly headers: HeaderMap;
  body: Body;
  /** Settles when the exchange is over: with the trailers, or with the error that broke the body off. */
  readonly completion: Completion;
  /** Set on answers made here and not upstream. */
  readonly local?: LocalReplyInfo;
  /** HTTP/2: the head is all of the answer (gRPC: trailers only). */
  readonly isWhole?: boolean;
  /**
   * The connection after the peer agreed to an upgrade (101) or CONNECT: bytes of another protocol. Whoever gets the
   * response owns it. `completion` settles when it closes.
   */
  readonly tunnel?: Duplex;
}

/** Why an answer was made here. */
export interface LocalReplyInfo {
  /** Stable code of the error it stands for. */
  readonly reason: string;
  /** Envoy's RESPONSE_CODE_DETAILS. */
  readonly details: string;
}

/** A function from request to response: the one abstraction of the data path. */
export type Service = (request: Request) => Promise<Response>;

/** Wraps a Service. */
export type Filter = (request: Request, next: Service) => Promise<Response>;

/** Stacks filters on a service; the first is the outermost. */
export function compose(filters: readonly Filter[], service: Service): Service {
  return filters.reduceRight<Service>((next, filter) => (request) => filter(request, next), service);
}
