import { describe, expect, test } from 'vitest';
import {
  type BodyControl,
  BodyQueue,
  type BodySink,
  bytesBody,
  readBody,
} from '../../../src/service/body.js';
import { HeaderMap } from '../../../src/service/headers.js';

class Producer implements BodyControl {
  resumed = 0;
  cancelled: unknown;

  resume(): void {
    this.resumed++;
  }

  cancel(reason: unknown): void {
    this.cancelled = reason;
  }
}

class Collector implements BodySink {
  text = '';
  ends: unknown[] = [];
  accept = true;

  data(chunk: Uint8Array): boolean {
    this.text += Buffer.from(chunk).toString();
    return this.accept;
  }

  end(trailers: HeaderMap | undefined): void {
    this.ends.push(trailers?.get('x') ?? 'end');
  }

  error(cause: unknown): void {
    this.ends.push(cause);
  }
}

const turn = () => Promise.resolve();
const chunk = (text: string) => Buffer.from(text);

describe('BodyQueue', () => {
  test('what came before the sink is delivered first, then the end with its trailers', async () => {
    const queue = new BodyQueue(new Producer());
    queue.push(chunk('a'));
    queue.push(chunk('b'));
    queue.end(HeaderMap.from([['x', 'trailer']]));
    const sink = new Collector();
    queue.attach(sink);
    expect(sink.text).toBe('');
    await turn();
    expect([sink.text, sink.ends]).toEqual(['ab', ['trailer']]);
  });

  test('with a sink, chunks go straight through', () => {
    const queue = new BodyQueue(new Producer());
    const sink = new Collector();
    queue.attach(sink);
    expect(queue.push(chunk('a'))).toBe(true);
    expect(sink.text).toBe('a');
  });

  test('a sink that refuses pauses the producer until it resumes', () => {
    const producer = new Producer();
    const queue = new BodyQueue(producer);
    const sink = new Collector();
    sink.accept = false;
    const control = queue.attach(sink);
    expect(queue.push(chunk('a'))).toBe(false);
    expect(queue.push(chunk('b'))).toBe(false);
    expect(sink.text).toBe('a');
    sink.accept = true;
    control.resume();
    expect([sink.text, producer.resumed]).toEqual(['ab', 1]);
  });

  test('without a sink the producer is paused after 64 KiB', () => {
    const queue = new BodyQueue(new Producer());
    expect(queue.push(Buffer.alloc(60 * 1024))).toBe(true);
    expect(queue.push(Buffer.alloc(4 * 1024))).toBe(false);
  });

  test('the end waits for a paused sink', () => {
    const queue = new BodyQueue(new Producer());
    const sink = new Collector();
    sink.accept = false;
    const control = queue.attach(sink);
    queue.push(chunk('a'));
    queue.push(chunk('b'));
    queue.end();
    expect(sink.ends).toEqual([]);
    sink.accept = true;
    control.resume();
    expect([sink.text, sink.ends]).toEqual(['ab', ['end']]);
  });

  test('cancelling tells the producer and ends the sink once', () => {
    const producer = new Producer();
    const queue = new BodyQueue(producer);
    const sink = new Collector();
    const control = queue.attach(sink);
    control.cancel('enough');
    control.cancel('again');
    queue.fail(new Error('late'));
    expect([producer.cancelled, sink.ends]).toEqual(['enough', ['enough']]);
  });

  test('a failure comes after what was received', async () => {
    const queue = new BodyQueue(new Producer());
    const failure = new Error('reset');
    queue.push(chunk('a'));
    queue.fail(failure);
    const sink = new Collector();
    queue.attach(sink);
    await turn();
    expect([sink.text, sink.ends]).toEqual(['a', [failure]]);
  });

  test('a body can be attached once', () => {
    const queue = new BodyQueue(new Producer());
    queue.attach(new Collector());
    expect(() => queue.attach(new Collector())).toThrow('INMESH_BODY_USED');
  });

  test('a sink that cancels inside data gets nothing more', async () => {
    const queue = new BodyQueue(new Producer());
    queue.push(chunk('a'));
    queue.push(chunk('b'));
    const sink = new Collector();
    const control = queue.attach({
      data: (one) => {
        sink.data(one);
        control.cancel('stop');
        return true;
      },
      end: () => sink.end(undefined),
      error: (cause) => sink.error(cause),
    });
    await turn();
    expect([sink.text, sink.ends]).toEqual(['a', ['stop']]);
  });

  test('it can be pulled as chunks', async () => {
    const queue = new BodyQueue(new Producer());
    queue.push(chunk('a'));
    queue.push(chunk('b'));
    queue.end();
    expect((await readBody(queue)).toString()).toBe('ab');
  });

  test('a pulled body that breaks off rejects', async () => {
    const queue = new BodyQueue(new Producer());
    const reading = readBody(queue);
    queue.fail(new Error('reset'));
    await expect(reading).rejects.toThrow('reset');
  });
});

test('an empty text is an empty body', () => {
  expect(bytesBody('')).toEqual({ kind: 'empty' });
});
