import { messageOf } from '../../runtime/errors.js';
import { discardBody } from '../../service/body.js';
import type { HeaderMap } from '../../service/headers.js';
import type { Response } from '../../service/service.js';

/** Waits for the response's last byte, which ends a check (Envoy), and gives its trailers; rejects when it broke off. */
export function finished({ body, completion }: Response): Promise<HeaderMap | undefined> {
  discardBody(body);
  return new Promise((resolve, reject) => {
    completion.onEnd(({ trailers, error }) => {
      if (error === undefined) resolve(trailers);
      else reject(error instanceof Error ? error : new Error(messageOf(error)));
    });
  });
}

/** Why there was no response, in one line. */
export function causeOf(error: unknown): string {
  return messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
}

/** Nobody waits for the connection of a check to close. */
export function ignore(): void {}
