import type { Dispatcher } from 'undici';
import { describe, expect, test } from 'vitest';
import { failExchange, runExchange } from '../../../../src/bindings/undici/downstream.js';
import {
  type Body,
  type BodyControl,
  BodyQueue,
  bytesBody,
  EMPTY_BODY,
} from '../../../../src/service/body.js';
import { HeaderMap } from '../../../../src/service/headers.js';
import type { Response, Service } from '../../../../src/service/service.js';
import { makeRequest, makeResponse } from '../../filters/support.js';

interface Heard {
  readonly handler: Dispatcher.DispatchHandler;
  readonly events: string[];
  /** Settles when the exchange ended, well or not. */
  readonly over: Promise<void>;
}

/** What the test wants a handler to do at an event. */
interface Acts {
  start?(abort: (reason: Error) => void): void;
  head?(resume: () => void): boolean;
  data?(): boolean;
}

function legacy(acts: Acts = {}): Heard {
  const events: string[] = [];
  let end = (): void => {};
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  const handler: Dispatcher.DispatchHandler = {
    onConnect(abort) {
      events.push('start');
      acts.start?.(abort as (reason: Error) => void);
    },
    onHeaders(status, _raw, resume) {
      events.push(String(status));
      return acts.head?.(resume) ?? true;
    },
    onData(chunk) {
      events.push(String(chunk));
      return acts.data?.() ?? true;
    },
    onComplete(trailers) {
      events.push(`end ${String(trailers ?? '')}`.trim());
      end();
    },
    onError(error) {
      events.push(`error ${error.message}`);
      end();
    },
  };
  return { handler, events, over };
}

function modern(acts: Acts = {}): Heard {
  const events: string[] = [];
  let end = (): void => {};
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(controller) {
      events.push('start');
      acts.start?.((reason) => controller.abort(reason));
    },
    onResponseStart(controller, status) {
      events.push(String(status));
      if (acts.head?.(() => controller.resume()) === false) controller.pause();
    },
    onResponseData(controller, chunk) {
      events.push(String(chunk));
      if (acts.data?.() === false) controller.pause();
    },
    onResponseEnd(_controller, trailers) {
      events.push(`end ${Object.entries(trailers).join()}`.trim());
      end();
    },
    onResponseError(_controller, error) {
      events.push(`error ${error.message}`);
      end();
    },
  };
  return { handler, events, over };
}

const answering =
  (body: Body): Service =>
  async () =>
    ({ ...makeResponse(200), body }) satisfies Response;

async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

const nothing: BodyControl = { resume() {}, cancel() {} };

describe.each([
  ['first', legacy],
  ['second', modern],
] as const)('a handler of undici’s %s generation', (_name, listen) => {
  test('hears start, head, body and end, once each and in order', async () => {
    const { handler, events, over } = listen();
    runExchange(makeRequest(), answering(bytesBody('hello')), handler);
    await over;
    expect(events).toEqual(['start', '200', 'hello', 'end']);
  });

  test('hears no data of an empty body', async () => {
    const { handler, events, over } = listen();
    runExchange(makeRequest(), answering(EMPTY_BODY), handler);
    await over;
    expect(events).toEqual(['start', '200', 'end']);
  });

  test('hears a pulled body chunk by chunk', async () => {
    const { handler, events, over } = listen();
    const body: Body = {
      kind: 'native',
      value: undefined,
      length: undefined,
      iterate: () => chunks('a', 'b'),
    };
    runExchange(makeRequest(), answering(body), handler);
    await over;
    expect(events).toEqual(['start', '200', 'a', 'b', 'end']);
  });

  test('hears a pushed body with its trailers', async () => {
    const { handler, events, over } = listen();
    const queue = new BodyQueue(nothing);
    runExchange(makeRequest(), answering(queue), handler);
    queue.push(Buffer.from('a'));
    queue.end(HeaderMap.from([['x-end', 'yes']]));
    await over;
    expect(events).toEqual(['start', '200', 'a', 'end x-end,yes']);
  });

  test('a body that breaks off is an error, not an end', async () => {
    const { handler, events, over } = listen();
    const queue = new BodyQueue(nothing);
    runExchange(makeRequest(), answering(queue), handler);
    queue.push(Buffer.from('a'));
    queue.fail(new Error('broke off'));
    await over;
    expect(events).toEqual(['start', '200', 'a', 'error broke off']);
  });

  test('pausing at the head holds the body back until it resumes', async () => {
    let resume = (): void => {};
    const { handler, events, over } = listen({
      head(go) {
        resume = go;
        return false;
      },
    });
    runExchange(makeRequest(), answering(bytesBody('hello')), handler);
    await new Promise((resolve) => setImmediate(resolve));
    expect(events).toEqual(['start', '200']);
    resume();
    await over;
    expect(events).toEqual(['start', '200', 'hello', 'end']);
  });

  test('pausing within a pushed body tells its source to stop', async () => {
    const { handler, over } = listen({ data: () => false });
    let wantsMore: boolean | undefined;
    const body: Body = {
      kind: 'push',
      used: false,
      attach(sink) {
        wantsMore = sink.data(Buffer.from('a'));
        sink.end(undefined);
        return nothing;
      },
    };
    runExchange(makeRequest(), answering(body), handler);
    await over;
    expect(wantsMore).toBe(false);
  });

  test('aborting at the start sends nothing', async () => {
    let called = false;
    const { handler, events, over } = listen({ start: (abort) => abort(new Error('never mind')) });
    const request = makeRequest();
    runExchange(
      request,
      async () => {
        called = true;
        return makeResponse(200);
      },
      handler,
    );
    await over;
    expect(events).toEqual(['start', 'error never mind']);
    expect([called, request.abort.aborted]).toEqual([false, true]);
  });

  test('aborting within the body cancels its source', async () => {
    let abort = (_reason: Error): void => {};
    const cancelled: unknown[] = [];
    const { handler, events } = listen({
      start(give) {
        abort = give;
      },
    });
    const queue = new BodyQueue({ resume() {}, cancel: (reason) => cancelled.push(reason) });
    const request = makeRequest();
    runExchange(request, answering(queue), handler);
    await new Promise((resolve) => setImmediate(resolve));
    const reason = new Error('enough');
    abort(reason);
    expect([events, cancelled, request.abort.reason]).toEqual([
      ['start', '200', 'error enough'],
      [reason],
      reason,
    ]);
  });

  test('a service that fails is an error', async () => {
    const { handler, events, over } = listen();
    runExchange(makeRequest(), () => Promise.reject(new Error('no')), handler);
    await over;
    expect(events).toEqual(['start', 'error no']);
  });

  test('a handler that throws at the head ends its exchange', async () => {
    const { handler, events, over } = listen({
      head() {
        throw new Error('the handler’s own');
      },
    });
    const request = makeRequest();
    runExchange(request, answering(bytesBody('hello')), handler);
    await over;
    expect(events).toEqual(['start', '200', 'error the handler’s own']);
    expect(request.abort.aborted).toBe(true);
  });

  test('a handler that throws at its data ends its exchange with that error', async () => {
    const { handler, events, over } = listen({
      data() {
        throw new Error('the handler’s own');
      },
    });
    const request = makeRequest();
    runExchange(request, answering(bytesBody('hello')), handler);
    await over;
    expect(events).toEqual(['start', '200', 'hello', 'error the handler’s own']);
    expect(request.abort.aborted).toBe(true);
  });

  test('aborting within a pulled body stops pulling', async () => {
    let abort = (_reason: Error): void => {};
    const { handler, events, over } = listen({
      start(give) {
        abort = give;
      },
      data() {
        abort(new Error('enough'));
        return true;
      },
    });
    const body: Body = {
      kind: 'native',
      value: undefined,
      length: undefined,
      iterate: () => chunks('a', 'b'),
    };
    runExchange(makeRequest(), answering(body), handler);
    await over;
    await new Promise((resolve) => setImmediate(resolve));
    expect(events).toEqual(['start', '200', 'a', 'error enough']);
  });

  test('a failure before the exchange began comes after its start', async () => {
    const { handler, events, over } = listen();
    failExchange(handler, new Error('unsupported'));
    await over;
    expect(events).toEqual(['start', 'error unsupported']);
  });
});
