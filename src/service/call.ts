import { Abort } from '../runtime/abort.js';
import type { Clock } from '../runtime/clock.js';
import { type Body, EMPTY_BODY, iterateBody } from './body.js';
import type { CompletionEnd } from './completion.js';
import { createExchange } from './context.js';
import { HeaderMap } from './headers.js';
import type { Request, Service } from './service.js';

/** A request of this process itself to a service that it needs. */
export interface Call {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly headers?: HeaderMap | undefined;
  readonly body?: Body | undefined;
  /** For head, body and trailers together; 0 = none. */
  readonly timeoutMs: number;
  /** Above this the answer is given up. */
  readonly maxBytes: number;
}

/** What a call is made with. */
export interface CallTools {
  readonly clock: Clock;
  readonly random: () => number;
  /** Ends the call early: the request that it is made for was given up. */
  readonly abort: Abort | undefined;
}

/** The whole answer to a call. */
export interface CallAnswer {
  readonly status: number;
  readonly headers: HeaderMap;
  readonly body: Buffer;
  readonly trailers: HeaderMap | undefined;
}

/** Why a call has no answer. */
export type CallFailure = 'timeout' | 'aborted' | 'failed' | 'too-large';

/** A call without answer. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly failure: CallFailure;

  constructor(failure: CallFailure, message: string, cause?: unknown) {
    super(message, { cause });
    this.failure = failure;
  }
}

/**
 * Makes a call and reads its answer. What the mesh answers itself (no healthy host, overflow) is an answer with that
 * status, as for any other caller.
 * @throws CallError when there is none in time.
 */
export async function callService(service: Service, call: Call, tools: CallTools): Promise<CallAnswer> {
  const { abort, unlink, expire } = cancellation(call, tools);
  const context = createExchange('outbound', tools.clock.now(), tools.random());
  const request: Request = {
    method: call.method,
    scheme: call.scheme,
    authority: call.authority,
    path: call.path,
    headers: call.headers ?? HeaderMap.empty(),
    body: call.body ?? EMPTY_BODY,
    abort,
    context,
  };
  try {
    // A transport that is slow to notice the abort must not hold up the caller.
    return await Promise.race([answerOf(service, request, call), expire]);
  } catch (error) {
    if (error instanceof CallError) throw error;
    throw new CallError('failed', 'the call failed', error);
  } finally {
    unlink();
  }
}

async function answerOf(service: Service, request: Request, call: Call): Promise<CallAnswer> {
  const { status, headers, body, completion } = await service(request);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of iterateBody(body)) {
    size += chunk.byteLength;
    if (size > call.maxBytes) {
      throw new CallError('too-large', `the answer is longer than ${call.maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  const { trailers, error } = await new Promise<CompletionEnd>((resolve) => completion.onEnd(resolve));
  if (error !== undefined) throw error;
  return { status, headers, body: Buffer.concat(chunks), trailers };
}

/** Ends the call when its time is over or nobody needs it any more. */
function cancellation(
  { timeoutMs }: Call,
  { clock, abort: parent }: CallTools,
): { readonly abort: Abort; readonly unlink: () => void; readonly expire: Promise<never> } {
  const { abort, unlink } = (parent ?? new Abort()).child();
  let reject!: (reason: CallError) => void;
  const expire = new Promise<never>((_resolve, fail) => {
    reject = fail;
  });
  // Whoever lost the race has nobody listening.
  expire.catch(() => {});
  const stop = (reason: CallError) => {
    reject(reason);
    abort.abort(reason);
  };
  const unlinkParent = abort.onAbort((reason) =>
    reject(reason instanceof CallError ? reason : new CallError('aborted', 'the caller gave up', reason)),
  );
  const timer =
    timeoutMs > 0
      ? clock.schedule(timeoutMs, () => stop(new CallError('timeout', `no answer within ${timeoutMs} ms`)))
      : undefined;
  return {
    abort,
    expire,
    unlink: () => {
      timer?.cancel();
      unlinkParent();
      unlink();
    },
  };
}
