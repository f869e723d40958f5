import type { MeshError } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';

/** Hears of each resource that could not be used; an `Observer` fits. */
export interface RejectionObserver {
  rejected?(event: { readonly typeUrl: string; readonly name: string; readonly message: string }): void;
}

/** Which resource a complaint is about; the name is empty when it could not be read. */
export interface ReportedResource {
  readonly typeUrl: string;
  readonly name: string;
}

/** Tells of a complaint, unless it is the one told last. */
export type Report = (error: MeshError, resource: ReportedResource) => void;

/** Tells the log and the observer of what could not be used. */
export function createReport(logger: Logger, observer: RejectionObserver): Report {
  let last = '';
  return (error, { typeUrl, name }) => {
    // A server that repeats a mistake in a loop shall not fill the log.
    const text = `${typeUrl} ${name} ${error.message}`;
    if (text === last) return;
    last = text;
    logger.warn({ typeUrl, resource: name, code: error.code, error: error.message }, 'configuration refused');
    observer.rejected?.({ typeUrl, name, message: error.message });
  };
}
