import type { OutgoingHttpHeaders, ServerHttp2Stream, ServerStreamResponseOptions } from 'node:http2';
import { MeshError } from '../../runtime/errors.js';
import { BodyQueue } from '../../service/body.js';
import type { BodyChange } from '../../service/head-change.js';
import { transformBody } from '../../service/transform-body.js';
import type { AnswerChange } from '../http/answer-change.js';
import { inherited } from '../http/count-bytes.js';
import { linesOfSent, sentOfLines, statusOf } from './answer.js';

/**
 * Lets filters change the head of the application's answer just before it is written, and the bytes that follow; `onHead`
 * is called when it was. Trailers are the application's: they come when its last byte is out.
 */
export function changeAnswer(
  stream: ServerHttp2Stream,
  change: AnswerChange | undefined,
  onHead: () => void,
): void {
  stream.respond = (headers?: OutgoingHttpHeaders, options?: ServerStreamResponseOptions) => {
    const { respond } = inherited(stream);
    if (change === undefined) respond.call(stream, headers, options);
    else {
      const lines = linesOfSent(headers);
      const status = Number(headers?.[':status'] ?? 200);
      const bodies = change.change({ status, headers: lines });
      respond.call(stream, sentOfLines(status, lines), options);
      if (bodies.length > 0 && options?.endStream !== true) changeBody(stream, bodies);
    }
    onHead();
  };
}

/** From here on nothing of the application goes out; the stream has its answer. */
export function silence(stream: ServerHttp2Stream): void {
  stream.respond = nothing;
  stream.sendTrailers = nothing;
  stream.write = (...args: unknown[]) => {
    const done = args.at(-1);
    if (typeof done === 'function') process.nextTick(done);
    return true;
  };
}

function nothing(): void {}

function changeBody(stream: ServerHttp2Stream, changes: readonly BodyChange[]): void {
  // What counts the bytes stays in the way.
  const { write } = stream;
  const { end } = inherited(stream);
  // grpc-js writes its next message when it hears that the last one went.
  const waiting: (() => void)[] = [];
  const goOn = () => {
    for (const done of waiting.splice(0)) process.nextTick(done);
  };
  const queue = new BodyQueue({ resume: goOn, cancel: goOn });
  const body = changes.reduce<ReturnType<BodyChange>>((inner, change) => change(inner), queue);
  const control = (body.kind === 'push' ? body : transformBody(body, (chunks) => chunks)).attach({
    data: (chunk) => Reflect.apply(write, stream, [chunk]) as boolean,
    end: () => void Reflect.apply(end, stream, []),
    error: () => {
      if (statusOf(stream) > 0) stream.close(INTERNAL_ERROR);
    },
  });
  stream.on('drain', () => control.resume());
  stream.once('close', () => control.cancel(new MeshError('INMESH_ABORTED', 'the caller is gone')));
  stream.write = (...args: unknown[]) => {
    const [chunk] = args;
    const done = args.at(-1);
    const goesOn = chunk instanceof Uint8Array ? queue.push(chunk) : true;
    if (typeof done === 'function') waiting.push(() => void Reflect.apply(done, undefined, []));
    if (goesOn) goOn();
    return goesOn;
  };
  // Node's overloads of `end` can't be written as one function.
  stream.end = ((...args: unknown[]) => {
    const [chunk] = args;
    if (chunk instanceof Uint8Array) queue.push(chunk);
    queue.end();
    return stream;
  }) as ServerHttp2Stream['end'];
}

/** RFC 9113 §7. */
const INTERNAL_ERROR = 2;
