import { type InterceptingListener, type Metadata, status } from '@grpc/grpc-js';
import type { Body, BodyControl, BodySink } from '../../service/body.js';
import type { HeaderMap } from '../../service/headers.js';
import type { Response } from '../../service/service.js';
import {
  type Ending,
  endingOfHttp,
  endingOfTrailers,
  endingWithoutStatus,
  withReason,
} from './call-status.js';
import { decompress } from './compression.js';
import { CompressedMessage, FrameReader, type ReceivedMessage } from './frames.js';
import type { MessageDelivery, MessageSource } from './message-delivery.js';
import { type MetadataClass, metadataOf } from './wire-metadata.js';

/** What a reader tells of its call. */
export interface ReaderOwner {
  /** The answer is complete. */
  ended(ending: Ending, trailers: Metadata | undefined): void;
  /** It can't be read: what is left of it is not wanted. */
  unreadable(ending: Ending): void;
  /** It broke off. */
  failed(cause: unknown): void;
  /** The server says which encodings it takes. */
  learn(accepted: string): void;
}

export interface ReaderTools {
  readonly listener: InterceptingListener;
  readonly delivery: MessageDelivery;
  readonly Metadata: MetadataClass;
  readonly maxReceiveBytes: number;
  /** Messages are the listener's with their prefixes, compressed or not. */
  readonly isFramed: boolean;
}

const HEAD_HIDDEN: ReadonlySet<string> = new Set(['grpc-encoding', 'grpc-accept-encoding']);
const NOTHING_HIDDEN: ReadonlySet<string> = new Set();
const TRAILERS_HIDDEN: ReadonlySet<string> = new Set(['grpc-status', 'grpc-message']);

/** Reads the answer to a call: head, messages, trailers. */
export class ResponseReader implements BodySink, MessageSource {
  readonly #owner: ReaderOwner;
  readonly #tools: ReaderTools;
  readonly #response: Response;
  readonly #frames: FrameReader;
  /** Those that were read and are not delivered: one is being decompressed. */
  #backlog: ReceivedMessage[] = [];
  #encoding = 'identity';
  #control: BodyControl | undefined;
  /** The head is the listener's: one with a status in it may be all of the answer. */
  #isHeadTold = false;
  #isDecompressing = false;
  #end: { readonly trailers: HeaderMap | undefined } | undefined;
  #isOver = false;

  constructor(response: Response, owner: ReaderOwner, tools: ReaderTools) {
    this.#response = response;
    this.#owner = owner;
    this.#tools = tools;
    this.#frames = new FrameReader(tools.maxReceiveBytes, tools.isFramed);
  }

  /** HTTP's status of the answer. */
  get httpStatus(): number {
    return this.#response.status;
  }

  start(): void {
    const { headers, body } = this.#response;
    if (this.#response.isWhole !== true && headers.peek('grpc-status') === undefined) this.#tellHead();
    this.#tools.delivery.from(this);
    this.#attach(body);
  }

  /** Nothing of it is wanted any more. */
  cancel(reason: unknown): void {
    this.#isOver = true;
    this.#control?.cancel(reason);
  }

  resume(): void {
    if (!this.#isDecompressing) this.#control?.resume();
  }

  data(chunk: Uint8Array): boolean {
    if (this.#isOver) return true;
    if (!this.#isHeadTold) this.#tellHead();
    if (this.#isOver) return true;
    // A chunk of node:http2 is a Buffer already.
    const bytes = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const tooLong = this.#frames.feed(bytes, this.#backlog);
    const mayGoOn = this.#deliver();
    if (tooLong === undefined) return mayGoOn;
    const { httpStatus } = this;
    const { maxReceiveBytes } = this.#tools;
    // grpc-js: a page of HTML is no message, and its HTTP status says more.
    const details = `Received message larger than max (${tooLong} vs ${maxReceiveBytes})`;
    this.#giveUp(
      httpStatus === 200 ? { code: status.RESOURCE_EXHAUSTED, details } : endingOfHttp(httpStatus),
    );
    return true;
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.#isOver) return;
    this.#end = { trailers };
    this.#finishIfDone();
  }

  error(cause: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.failed(cause);
  }

  #attach(body: Body): void {
    switch (body.kind) {
      case 'empty':
        this.end(this.#response.completion.end?.trailers);
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
        if (this.#isOver) return;
      }
      this.end(this.#response.completion.end?.trailers);
    } catch (error) {
      this.error(error);
    }
  }

  #tellHead(): void {
    this.#isHeadTold = true;
    const { headers } = this.#response;
    this.#encoding = headers.peek('grpc-encoding') ?? 'identity';
    const accepted = headers.peek('grpc-accept-encoding');
    if (accepted !== undefined) this.#owner.learn(accepted);
    const { listener, Metadata, isFramed } = this.#tools;
    const metadata = metadataOf(headers, isFramed ? NOTHING_HIDDEN : HEAD_HIDDEN, Metadata);
    // From a turn of its own, as everything that the listener gets.
    process.nextTick(tellMetadata, listener, metadata);
  }

  /** Hands on what was read, up to a message that has to be decompressed first. False asks the server to wait. */
  #deliver(): boolean {
    const backlog = this.#backlog;
    if (backlog.length === 0) return true;
    if (this.#isDecompressing) return false;
    let mayGoOn = true;
    for (let i = 0; i < backlog.length; i++) {
      const message = backlog[i];
      if (message instanceof CompressedMessage) {
        this.#backlog = backlog.slice(i + 1);
        this.#decompress(message.bytes);
        return false;
      }
      if (message !== undefined && !this.#tools.delivery.push(message)) mayGoOn = false;
    }
    this.#backlog = [];
    return mayGoOn;
  }

  #decompress(message: Buffer): void {
    this.#isDecompressing = true;
    decompress(message, this.#encoding, this.#tools.maxReceiveBytes, (failure, bytes) => {
      this.#isDecompressing = false;
      if (this.#isOver) return;
      if (failure !== undefined) {
        this.#giveUp(failure);
        return;
      }
      const hasRoom = this.#tools.delivery.push(bytes);
      if (this.#deliver() && hasRoom) this.#control?.resume();
      this.#finishIfDone();
    });
  }

  #finishIfDone(): void {
    if (this.#end === undefined || this.#isDecompressing || this.#isOver) return;
    this.#isOver = true;
    const { trailers } = this.#end;
    const { headers } = this.#response;
    const isHeadAll = !this.#isHeadTold && trailers === undefined;
    if (!this.#isHeadTold && !isHeadAll) this.#tellHead();
    const last = isHeadAll ? headers : trailers;
    const ending =
      endingOfTrailers(last) ??
      (last === undefined ? endingWithoutStatus(this.httpStatus) : endingOfHttp(this.httpStatus));
    const { Metadata } = this.#tools;
    this.#owner.ended(
      withReason(ending, this.#response),
      last === undefined ? undefined : metadataOf(last, TRAILERS_HIDDEN, Metadata),
    );
  }

  #giveUp(ending: Ending): void {
    this.#isOver = true;
    this.#control?.cancel(new Error(ending.details));
    this.#owner.unreadable(ending);
  }
}

function tellMetadata(listener: InterceptingListener, metadata: Metadata): void {
  listener.onReceiveMetadata(metadata);
}
