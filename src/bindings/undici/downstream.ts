import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { MeshError } from '../../runtime/errors.js';
import type { BodyControl, BodySink } from '../../service/body.js';
import { recordExchange } from '../../service/explanation.js';
import { HeaderMap } from '../../service/headers.js';
import type { Request, Response, Service } from '../../service/service.js';
import { nativeError } from './native-error.js';
import { toRawBuffers, toRecord } from './raw-headers.js';

/** Runs a request through a service and tells an undici handler of either generation what comes back. */
export function runExchange(request: Request, service: Service, handler: Dispatcher.DispatchHandler): void {
  new Downstream(request, handler).run(service);
}

/** Tells a handler that its request failed before it began. */
export function failExchange(handler: Dispatcher.DispatchHandler, error: unknown): void {
  const events = eventsOf(handler, { pause() {}, resume() {}, abort() {} });
  events.started();
  events.failed(error instanceof Error ? error : new Error(String(error)));
}

/** What the handler may ask of us. */
interface Flow {
  pause(): void;
  resume(): void;
  abort(reason?: unknown): void;
}

/** The events of a handler, whatever its generation calls them. */
interface HandlerEvents {
  started(): void;
  /** Hands the head over; false asks to wait for `resume` before the body. */
  head(response: Response): boolean;
  /** The connection is the caller's from now on. */
  upgraded(response: Response, tunnel: Duplex): void;
  /** What the caller gets to see of the response, when the handler made it. */
  readonly result: object | undefined;
  data(chunk: Buffer): void;
  ended(trailers: HeaderMap): void;
  failed(error: Error): void;
}

function eventsOf(handler: Dispatcher.DispatchHandler, flow: Flow): HandlerEvents {
  // undici declares the methods of both generations on one interface; onRequestStart tells the second.
  return handler.onRequestStart === undefined
    ? new LegacyEvents(handler, flow)
    : new ModernEvents(handler, flow);
}

/** Order of events, pausing, and exactly one end. */
class Downstream implements BodySink, Flow {
  readonly #request: Request;
  readonly #events: HandlerEvents;
  #control: BodyControl | undefined;
  #response: Response | undefined;
  #paused = false;
  #over = false;

  constructor(request: Request, handler: Dispatcher.DispatchHandler) {
    this.#request = request;
    this.#events = eventsOf(handler, this);
  }

  run(service: Service): void {
    try {
      this.#events.started();
    } catch (error) {
      this.error(error);
      return;
    }
    if (this.#request.abort.aborted) {
      this.error(this.#request.abort.reason);
      return;
    }
    service(this.#request).then(
      (response) => this.#respond(response),
      (error: unknown) => this.error(error),
    );
  }

  data(chunk: Uint8Array): boolean {
    if (this.#over) return true;
    try {
      // A chunk of undici's own parser is a Buffer already.
      this.#events.data(
        Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength),
      );
    } catch (error) {
      this.abort(error);
    }
    return !this.#paused;
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#events.ended(trailers ?? HeaderMap.empty());
  }

  error(cause: unknown): void {
    if (this.#over) return;
    this.#over = true;
    const error = nativeError(cause, this.#request, this.#response === undefined ? 'no-answer' : 'in-answer');
    recordExchange(error, this.#request);
    this.#events.failed(error);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    if (this.#control !== undefined) this.#control.resume();
    else this.#attach();
  }

  abort(reason?: unknown): void {
    const cause = reason ?? new DOMException('This operation was aborted', 'AbortError');
    this.#request.abort.abort(cause);
    if (this.#control !== undefined) this.#control.cancel(cause);
    // A body that nobody pushes ends here: what is left of it must not follow.
    else if (this.#response !== undefined) this.error(cause);
  }

  #respond(response: Response): void {
    this.#response = response;
    const { tunnel } = response;
    if (tunnel !== undefined) {
      this.#upgrade(response, tunnel);
      return;
    }
    try {
      if (!this.#events.head(response)) this.#paused = true;
    } catch (error) {
      this.#request.abort.abort(error);
      this.error(error);
      return;
    }
    const { result } = this.#events;
    if (result !== undefined) recordExchange(result, this.#request);
    if (!this.#paused) this.#attach();
  }

  #upgrade(response: Response, tunnel: Duplex): void {
    this.#over = true;
    try {
      this.#events.upgraded(response, tunnel);
    } catch (error) {
      tunnel.destroy();
      this.#over = false;
      this.error(error);
    }
  }

  #attach(): void {
    const body = this.#response?.body;
    if (body === undefined || this.#over) return;
    switch (body.kind) {
      case 'empty':
        this.end(undefined);
        return;
      case 'bytes':
        this.data(Buffer.from(body.bytes));
        this.end(undefined);
        return;
      case 'push':
        this.#control = body.attach(this);
        return;
      case 'native':
        void this.#pull(body.iterate());
    }
  }

  async #pull(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of chunks) {
        this.data(chunk);
        if (this.#over) return;
      }
      this.end(undefined);
    } catch (error) {
      this.error(error);
    }
  }
}

/** undici's first generation: onConnect, onHeaders, onData, onComplete, onError; used by fetch up to Node 24. */
class LegacyEvents implements HandlerEvents {
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #flow: Flow;

  constructor(handler: Dispatcher.DispatchHandler, flow: Flow) {
    this.#handler = handler;
    this.#flow = flow;
  }

  started(): void {
    this.#handler.onConnect?.((reason) => this.#flow.abort(reason));
  }

  head(response: Response): boolean {
    const raw = toRawBuffers(response.headers);
    const resume = () => this.#flow.resume();
    return this.#handler.onHeaders?.(response.status, raw, resume, response.statusText) !== false;
  }

  upgraded(response: Response, tunnel: Duplex): void {
    if (this.#handler.onUpgrade === undefined) throw unexpectedUpgrade();
    this.#handler.onUpgrade(response.status, toRawBuffers(response.headers), tunnel);
  }

  get result(): object | undefined {
    return resultOf(this.#handler);
  }

  data(chunk: Buffer): void {
    if (this.#handler.onData?.(chunk) === false) this.#flow.pause();
  }

  ended(trailers: HeaderMap): void {
    // The type says strings; undici itself passes Buffers, and its reader of raw headers takes both.
    this.#handler.onComplete?.(toRawBuffers(trailers) as never);
  }

  failed(error: Error): void {
    this.#handler.onError?.(error);
  }
}

/** undici's second generation: onRequestStart, onResponseStart, … with a controller; used by fetch from Node 26. */
class ModernEvents implements HandlerEvents {
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #controller: Controller;

  constructor(handler: Dispatcher.DispatchHandler, flow: Flow) {
    this.#handler = handler;
    this.#controller = new Controller(flow);
  }

  started(): void {
    this.#handler.onRequestStart?.(this.#controller, {});
  }

  head(response: Response): boolean {
    this.#controller.rawHeaders = toRawBuffers(response.headers);
    const headers: IncomingHttpHeaders = toRecord(response.headers);
    this.#handler.onResponseStart?.(this.#controller, response.status, headers, response.statusText);
    return !this.#controller.paused;
  }

  upgraded(response: Response, tunnel: Duplex): void {
    if (this.#handler.onRequestUpgrade === undefined) throw unexpectedUpgrade();
    this.#controller.rawHeaders = toRawBuffers(response.headers);
    this.#handler.onRequestUpgrade(this.#controller, response.status, toRecord(response.headers), tunnel);
  }

  get result(): object | undefined {
    return resultOf(this.#handler);
  }

  data(chunk: Buffer): void {
    this.#handler.onResponseData?.(this.#controller, chunk);
  }

  ended(trailers: HeaderMap): void {
    this.#controller.rawTrailers = toRawBuffers(trailers);
    this.#handler.onResponseEnd?.(this.#controller, toRecord(trailers));
  }

  failed(error: Error): void {
    this.#handler.onResponseError?.(this.#controller, error);
  }
}

function unexpectedUpgrade(): MeshError {
  return new MeshError(
    'INMESH_UNSUPPORTED',
    'the server switched the protocol, which this caller does not expect',
  );
}

/** undici's handlers of `request` and `stream` keep the body that they gave to the caller in `res`. */
function resultOf(handler: object): object | undefined {
  const result = 'res' in handler ? handler.res : undefined;
  return typeof result === 'object' && result !== null ? result : undefined;
}

class Controller implements Dispatcher.DispatchController {
  rawHeaders: Buffer[] | null = null;
  rawTrailers: Buffer[] | null = null;
  readonly #flow: Flow;
  #paused = false;
  #reason: Error | null = null;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  get aborted(): boolean {
    return this.#reason !== null;
  }

  get paused(): boolean {
    return this.#paused;
  }

  get reason(): Error | null {
    return this.#reason;
  }

  abort(reason: Error): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#flow.abort(reason);
  }

  pause(): void {
    this.#paused = true;
    this.#flow.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#flow.resume();
  }
}
