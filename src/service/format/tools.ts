import type { Clock } from '../../runtime/clock.js';
import { processNames } from '../../runtime/process.js';
import type { Completion } from '../completion.js';
import type { ResponseHead } from '../head-change.js';
import type { Request } from '../service.js';
import type { FormatInput, FormatTools } from './input.js';

/** What format strings in this process read besides the exchange. */
export function formatToolsOf(clock: Pick<Clock, 'now' | 'wallTime'>): FormatTools {
  return { clock, ...processNames() };
}

/** What a format reads while the exchange runs. */
export function inputOf(
  request: Request,
  response?: ResponseHead & { readonly completion?: Completion },
): FormatInput {
  return { request, response, trailers: response?.completion?.end?.trailers, exchange: request.context };
}
