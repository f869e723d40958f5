import type { HeadChange, ResponseChange } from './head-change.js';
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

/** As `changeHead`, where the body may be changed, too. */
export async function changeResponse(
  request: Request,
  next: Service,
  change: ResponseChange,
): Promise<Response> {
  const { context } = request;
  const isInbound = context.direction === 'inbound';
  if (isInbound) {
    context.headChanges ??= [];
    context.headChanges.push(change);
    context.changesBody = true;
  }
  const response = await next(request);
  if (isInbound && response.local === undefined) return response;
  const changeBody = change(response);
  if (changeBody !== undefined && response.body.kind !== 'empty') response.body = changeBody(response.body);
  return response;
}
