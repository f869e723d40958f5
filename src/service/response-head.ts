import type { HeadChange } from './head-change.js';
import type { Request, Response, Service } from './service.js';

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
