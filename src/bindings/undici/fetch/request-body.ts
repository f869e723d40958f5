import type { BodyInit, Dispatcher } from 'undici';
import { undici } from '../library.js';
import type { FetchInternals, InnerBody, InnerRequest } from './internals.js';

type DispatchBody = NonNullable<Dispatcher.DispatchOptions['body']> | null;

/** Who sends a body and hears when its stream fails. */
export interface BodySender {
  readonly isCancelled: boolean;
  /** The stream broke off with this error. */
  bodyFailed(error: unknown): void;
}

/** The body of one request on its way out. */
export interface OutgoingBody {
  /** What the dispatcher sends. */
  readonly value: DispatchBody;
  /** Tells the caller's stream that nobody reads on. */
  cancel(reason: unknown): void;
}

export interface BodyOptions {
  /** The caller gave a content-length of its own: undici checks it against what a stream gives while it is sent. */
  readonly hasOwnLength: boolean;
  /** The body is that of a Request of the caller's. */
  readonly isPiped: boolean;
}

const NO_BODY: OutgoingBody = { value: null, cancel() {} };

/**
 * A body in the form that is cheapest to send: text and bytes as they are, which also lets the mesh send them again;
 * everything else as the chunks of its stream.
 */
export function outgoingBody(body: InnerBody | null, options: BodyOptions, sender: BodySender): OutgoingBody {
  if (body === null) return NO_BODY;
  const { source } = body;
  if (!options.hasOwnLength && (typeof source === 'string' || source instanceof Uint8Array)) {
    // The caller's Request pours its body into this stream: let go of it.
    if (options.isPiped) body.stream?.cancel().catch(() => {});
    return { value: source, cancel() {} };
  }
  // Only text and bytes come without one.
  const reader = (body.stream as ReadableStream<Uint8Array>).getReader();
  const cancel = (reason: unknown): void => {
    // A stream that fails to be cancelled has failed anyway.
    reader.cancel(reason).catch(() => {});
  };
  // undici takes any async iterable of bytes; its types name Readable only.
  return { value: chunksOf(reader, sender) as unknown as DispatchBody, cancel };
}

async function* chunksOf(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  sender: BodySender,
): AsyncGenerator<Uint8Array> {
  let done = false;
  try {
    while (!sender.isCancelled) {
      const next = await readFrom(reader, sender);
      if (next === undefined || next.done) {
        done = true;
        return;
      }
      if (sender.isCancelled) return;
      yield checked(next.value);
    }
  } finally {
    // The peer wants no more of it.
    if (!done) reader.cancel().catch(() => {});
  }
}

/** The next chunk; undefined when the stream failed, which the sender heard. */
async function readFrom(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  sender: BodySender,
): Promise<{ done: boolean; value?: unknown } | undefined> {
  try {
    return await reader.read();
  } catch (error) {
    if (!sender.isCancelled) sender.bodyFailed(error);
    return undefined;
  }
}

/** @throws TypeError for what is neither text nor bytes, as undici's writer does. */
function checked(chunk: unknown): Uint8Array {
  // Text is sent as UTF-8.
  if (chunk instanceof Uint8Array || typeof chunk === 'string') return chunk as Uint8Array;
  Buffer.byteLength(chunk as string);
  throw new TypeError('The "chunk" argument must be of type string or an instance of Buffer or Uint8Array');
}

/** Makes the body of a request new from its source, to be sent again. */
export function renewBody(request: InnerRequest, internals: FetchInternals): void {
  const { body, headersList } = request;
  if (body === null) return;
  const isPlain = typeof body.source === 'string' || body.source instanceof Uint8Array;
  // Text and bytes went out as they are, unless their stream was read.
  if (isPlain && body.stream?.locked !== true) return;
  const again = new undici.Request('http://localhost', { method: 'POST', body: body.source as BodyInit });
  const state = internals.requestState(again);
  request.body = state.body;
  // Every FormData body has a boundary of its own, which its type tells.
  const type = headersList.get('content-type', true);
  const renewed = state.headersList.get('content-type', true);
  if (renewed?.startsWith(FORM_TYPE) && type?.startsWith(FORM_TYPE)) {
    headersList.set('content-type', renewed, true);
  }
}

const FORM_TYPE = 'multipart/form-data; boundary=----formdata-undici-';
