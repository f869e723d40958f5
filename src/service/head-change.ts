import type { HeaderMap } from './headers.js';

/** The part of a response that can be changed before it is written. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: HeaderMap;
}

/** Changes the head of a response in place. */
export type HeadChange = (head: ResponseHead) => void;
