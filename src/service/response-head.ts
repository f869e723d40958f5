import type { HeaderMap } from './headers.js';
import type { Request, Response, Service } from './service.js';

/** The part of a response that can be changed before it is written. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: HeaderMap;
}

/** Changes the head of a response in place. */
export type HeadChange = (head: ResponseHead) => void;

/**
 * Calls the next service and changes the head of its response. An application behind a server writes its head at once,
 * before any promise could settle: there the change is left in the exchange, and the binding makes it in time.
 */
export async function changeHead(request: Request, next: Service, change: HeadChange): Promise<Response> {
  const { context } = request;
  if (context.direction === 'outbound') {
    const response = await next(request);
    change(response);
    return response;
  }
  context.headChanges ??= [];
  context.headChanges.push(change);
  const response = await next(request);
  // Answers of filters further down never pass the application's head.
  if (response.local !== undefined) change(response);
  return response;
}
