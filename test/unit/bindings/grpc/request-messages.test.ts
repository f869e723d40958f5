import { describe, expect, test } from 'vitest';
import { RequestMessages } from '../../../../src/bindings/grpc/request-messages.js';
import type { BodySink } from '../../../../src/service/body.js';

/** A sink that takes `room` messages before it asks to wait. */
class Sink implements BodySink {
  readonly seen: string[] = [];
  #room: number;

  constructor(room = Number.POSITIVE_INFINITY) {
    this.#room = room;
  }

  more(room: number): void {
    this.#room = room;
  }

  data(chunk: Uint8Array): boolean {
    this.seen.push(String(chunk));
    return --this.#room > 0;
  }

  end(): void {
    this.seen.push('end');
  }

  error(cause: unknown): void {
    this.seen.push(`error ${String(cause)}`);
  }
}

const tick = () => new Promise((resolve) => process.nextTick(resolve));

describe('the messages of a call', () => {
  test('that are all there before anybody takes one are one piece', () => {
    const messages = new RequestMessages();
    messages.write(Buffer.from('a'), undefined);
    expect(messages.takeAll()).toBeUndefined();
    messages.end();
    expect(String(messages.takeAll())).toBe('a');
    // Another attempt takes the same.
    expect(String(messages.takeAll())).toBe('a');
  });

  test('wait for a sink, and go to it in order with the end', async () => {
    const messages = new RequestMessages();
    const sink = new Sink();
    messages.write(Buffer.from('a'), undefined);
    messages.attach(sink);
    messages.write(Buffer.from('b'), undefined);
    expect(sink.seen).toEqual([]);
    await tick();
    messages.write(Buffer.from('c'), undefined);
    messages.end();
    expect(sink.seen).toEqual(['a', 'b', 'c', 'end']);
  });

  test('the writer waits while the sink does', async () => {
    const messages = new RequestMessages();
    const sink = new Sink(1);
    messages.attach(sink);
    const written: string[] = [];
    messages.write(Buffer.from('a'), () => written.push('a'));
    messages.write(Buffer.from('b'), () => written.push('b'));
    messages.end();
    expect([sink.seen, written]).toEqual([['a'], []]);
    sink.more(2);
    messages.resume();
    expect(sink.seen).toEqual(['a', 'b', 'end']);
    expect(written).toEqual(['a', 'b']);
  });

  test('a writer that is let go on writes behind what is still held', () => {
    const messages = new RequestMessages();
    const sink = new Sink(1);
    messages.attach(sink);
    messages.write(Buffer.from('a'), () => messages.write(Buffer.from('c'), undefined));
    messages.write(Buffer.from('b'), undefined);
    sink.more(5);
    messages.resume();
    expect(sink.seen).toEqual(['a', 'b', 'c']);
  });

  test('without a sink some bytes are taken, then the writer waits', () => {
    const messages = new RequestMessages();
    let written = 0;
    for (let i = 0; i < 10; i++) messages.write(Buffer.alloc(16 * 1024), () => written++);
    expect(written).toBe(3);
  });

  test('a call that is over lets every writer go', () => {
    const messages = new RequestMessages();
    const sink = new Sink(1);
    messages.attach(sink);
    let written = 0;
    for (let i = 0; i < 3; i++) messages.write(Buffer.alloc(40 * 1024), () => written++);
    messages.cancel('over');
    messages.write(Buffer.from('late'), () => written++);
    expect(written).toBe(4);
    expect(sink.seen.at(-1)).toBe('error over');
  });
});
