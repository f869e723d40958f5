import { AsyncResource } from 'node:async_hooks';
import { Metadata, type ServerInterceptingCallInterface } from '@grpc/grpc-js';
import type { InboundApplication, InboundChain } from '../../mesh/inbound.js';
import { MeshError } from '../../runtime/errors.js';
import { EMPTY_BODY } from '../../service/body.js';
import { Completion } from '../../service/completion.js';
import { createGrpcMessages } from '../../service/grpc-messages.js';
import type { HeaderMap } from '../../service/headers.js';
import { type LocalReply, localReply } from '../../service/local-reply.js';
import type { Request, Response } from '../../service/service.js';
import { answerChange } from '../http/answer-change.js';
import { ExchangeTimers, type LimitedExchange } from '../http/exchange-limits.js';
import { failureReply } from '../http/reply.js';
import type { CallTools } from './call.js';
import { headersOf, metadataOf, type PartialStatus, statusOfReply } from './call-metadata.js';

const { CANCELLED, DEADLINE_EXCEEDED } = { CANCELLED: 1, DEADLINE_EXCEEDED: 4 };

/** What an intercepted call is run with. */
export interface InterceptedOptions {
  readonly chain: InboundChain;
  readonly tools: CallTools;
  /** Header lines that go with the head of the answer. */
  readonly answerLines: readonly (readonly [string, string])[];
}

/** One call as an interceptor sees it, on its way through the chain's filters to the handler, and back. */
export class InterceptedCall implements InboundApplication, LimitedExchange {
  readonly #call: ServerInterceptingCallInterface;
  readonly #request: Request;
  readonly #messages = createGrpcMessages();
  readonly #options: InterceptedOptions;
  readonly #completion = new Completion();
  #timers: ExchangeTimers | undefined;
  #resource: AsyncResource | undefined;
  #next: ((metadata: Metadata) => void) | undefined;
  #onHead: ((response: Response) => void) | undefined;
  #giveUp: ((error: unknown) => void) | undefined;
  #response: Response | undefined;
  #error: unknown;
  #isOver = false;
  headSent = false;
  isComplete = false;

  constructor(call: ServerInterceptingCallInterface, request: Request, options: InterceptedOptions) {
    this.#call = call;
    this.#request = request;
    this.#options = options;
    request.context.grpcMessages = this.#messages;
    request.context.callerOptions = this;
  }

  get moved(): number {
    const { request, response } = this.#messages;
    return request.count + response.count + (this.headSent ? 1 : 0);
  }

  /** The call begins; `next` hands it to the handler. */
  begin(next: (metadata: Metadata) => void): void {
    const { chain, tools } = this.#options;
    chain.log?.begin(this.#request);
    if (chain.times !== undefined) this.#timers = new ExchangeTimers(this, chain.times, tools.clock);
    this.#next = next;
    if (chain.service === undefined) {
      this.#dispatch(this.#request);
      return;
    }
    chain.service(this.#request).then(
      (response) => this.#answered(response),
      (error: unknown) => this.#failed(error),
    );
  }

  receives(hand: () => void): void {
    this.#messages.request.count++;
    this.#run(hand);
  }

  receivedAll(hand: () => void): void {
    this.isComplete = true;
    this.#run(hand);
  }

  /** The handler sends its head; gives what goes out. */
  sendHead(metadata: Metadata): Metadata {
    if (this.headSent || this.#isOver) return metadata;
    this.headSent = true;
    const headers = headersOf(metadata);
    const { answerLines } = this.#options;
    for (const [name, value] of answerLines) headers.set(name, value);
    const change = answerChange(this.#request.context);
    change?.change({ status: 200, headers });
    this.#response = this.#responseOf(headers);
    this.#onHead?.(this.#response);
    return change === undefined && answerLines.length === 0 ? metadata : metadataOf(headers);
  }

  sends(): void {
    this.#messages.response.count++;
  }

  /** The handler ends the call; gives what goes out. */
  sendStatus(status: PartialStatus): PartialStatus {
    // Without a head of its own the status is the head.
    const metadata = this.headSent ? status.metadata : this.sendHead(status.metadata ?? new Metadata());
    this.#end(status);
    return { ...status, metadata: metadata ?? null };
  }

  /** The caller is gone, or its deadline is over: grpc-js answers that itself. */
  cancelled(): void {
    if (this.#isOver) return;
    const { context, abort } = this.#request;
    const isLate = Number(this.#call.getDeadline()) <= this.#options.tools.clock.wallTime();
    this.#error ??= callerGone();
    context.callStatus = isLate ? DEADLINE_EXCEEDED : CANCELLED;
    if (!isLate) {
      context.flags.push('DC');
      context.details ??= 'downstream_remote_disconnect';
    }
    abort.abort(this.#error);
    this.#giveUp?.(this.#error);
    this.#end({ code: isLate ? DEADLINE_EXCEEDED : CANCELLED, details: '' }, isLate);
  }

  handle(request: Request): Promise<Response> {
    if (this.#isOver) return Promise.reject(callerGone());
    if (this.#next === undefined) {
      return Promise.reject(new MeshError('INMESH_BODY_USED', 'an inbound call can be handled only once'));
    }
    return new Promise((resolve, reject) => {
      this.#onHead = resolve;
      this.#giveUp = reject;
      this.#dispatch(request);
    });
  }

  /** A time limit is over. */
  expire(reply: LocalReply): void {
    if (this.#isOver) return;
    this.#error = new MeshError('INMESH_TIMEOUT', reply.body);
    this.#request.abort.abort(this.#error);
    this.#giveUp?.(this.#error);
    this.#refuse(localReply(this.#request, reply));
  }

  #dispatch(request: Request): void {
    const next = this.#next;
    this.#next = undefined;
    const goOn = () => next?.(metadataOf(request.headers));
    const { scope } = this.#options.tools;
    if (scope === undefined) goOn();
    else {
      scope(request, (isOwn = false) => {
        // Handlers of unary calls run when the last message is here, which is outside of this.
        if (isOwn) this.#resource = new AsyncResource('INMESH_CALL');
        goOn();
      });
    }
  }

  #run(task: () => void): void {
    if (this.#resource === undefined) task();
    else this.#resource.runInAsyncScope(task);
  }

  #responseOf(headers: HeaderMap): Response {
    return { status: 200, statusText: '', headers, body: EMPTY_BODY, completion: this.#completion };
  }

  #answered(response: Response): void {
    if (response === this.#response || this.#isOver || this.headSent) return;
    this.#refuse(response);
  }

  #failed(error: unknown): void {
    if (this.#isOver || this.headSent) return;
    this.#error = error;
    const { path } = this.#request;
    this.#options.tools.logger.error({ path, error }, 'an inbound filter failed');
    // Fails closed: the handler does not see a call that its filters did not pass.
    this.#refuse(failureReply(this.#request, error));
  }

  #refuse(response: Response): void {
    this.#response = response;
    const status = statusOfReply(response);
    this.#call.sendStatus(status);
    this.#end(status);
  }

  #end({ code, metadata }: PartialStatus, isAnswered = true): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timers?.stop();
    const { context } = this.#request;
    // What the handler does on its own account after the answer has all the time it wants.
    context.deadlineMs = undefined;
    const error = isAnswered ? undefined : this.#error;
    const trailers = headersOf(metadata ?? new Metadata());
    if (isAnswered) trailers.set('grpc-status', String(code));
    this.#completion.settle(trailers, error);
    const { tools, chain } = this.#options;
    const response = this.#response ?? (isAnswered ? this.#responseOf(trailers) : undefined);
    const durationMs = tools.clock.now() - context.startMs;
    const end = { status: isAnswered ? (response?.status ?? 200) : 0, error, durationMs, response };
    tools.observer.exchange?.(this.#request, end);
    chain.log?.end(this.#request, end);
  }
}

function callerGone(): MeshError {
  return new MeshError('INMESH_ABORTED', 'the caller ended the call before its answer was complete');
}
