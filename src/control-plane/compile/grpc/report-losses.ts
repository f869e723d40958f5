import type { Logger } from '../../../runtime/log.js';
import type { ConfigView } from '../../kinds/view.js';
import { grpcLosses } from './losses.js';

/** Tells, once there are gRPC clients, what of the configuration they do not follow: each field once. */
export function createLossReport(logger: Logger): (view: ConfigView) => void {
  let reported: ReadonlySet<string> = new Set();
  let last: ConfigView | undefined;
  return (view) => {
    if (view === last) return;
    last = view;
    const losses = grpcLosses(view);
    for (const { message, resource } of losses) {
      if (!reported.has(message)) logger.warn({ resource }, message);
    }
    reported = new Set(losses.map(({ message }) => message));
  };
}

/** How many refusals are remembered as told. */
const MAX_TOLD = 1000;

/** Tells what EnvoyFilters do not change, each thing once. */
export function createRefusalReport(logger: Logger): (reason: string) => void {
  const told = new Set<string>();
  return (reason) => {
    if (told.has(reason)) return;
    if (told.size >= MAX_TOLD) told.clear();
    told.add(reason);
    logger.warn({}, reason);
  };
}
