import type { Body } from './body.js';
import type { HeaderMap } from './headers.js';

/** The part of a response that can be changed before it is written. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: HeaderMap;
}

/** Changes the head of a response in place. */
export type HeadChange = (head: ResponseHead) => void;

/** Makes another body of a response's. */
export type BodyChange = (body: Body) => Body;

/** Changes the head of a response in place, and may say how its body is changed. */
export type ResponseChange = (head: ResponseHead) => BodyChange | undefined;
