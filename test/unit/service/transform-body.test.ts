import { describe, expect, test } from 'vitest';
import { type Body, BodyQueue, bytesBody, readBody } from '../../../src/service/body.js';
import { HeaderMap } from '../../../src/service/headers.js';
import { readBytes, readJson, setBody } from '../../../src/service/read-body.js';
import { transformBody } from '../../../src/service/transform-body.js';

async function* twice(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    yield chunk;
    yield chunk;
  }
}

const queue = (onCancel: (reason: unknown) => void = () => {}) =>
  new BodyQueue({ resume() {}, cancel: onCancel });

describe('transformBody', () => {
  test('gives what the transform makes, and keeps trailers', async () => {
    const source = queue();
    source.push(Buffer.from('a'));
    source.push(Buffer.from('b'));
    const trailers = HeaderMap.from([['grpc-status', '0']]);
    source.end(trailers);
    let text = '';
    const end = await new Promise((resolve, reject) => {
      transformBody(source, twice).attach({
        data(chunk) {
          text += Buffer.from(chunk).toString();
          return true;
        },
        end: resolve,
        error: reject,
      });
    });
    expect([text, end]).toEqual(['aabb', trailers]);
  });

  test('waits for a reader that pauses', async () => {
    const chunks: string[] = [];
    let ended = false;
    const control = transformBody(bytesBody('x'), twice).attach({
      data(chunk) {
        chunks.push(Buffer.from(chunk).toString());
        return false;
      },
      end() {
        ended = true;
      },
      error() {},
    });
    await expect.poll(() => chunks).toEqual(['x']);
    expect(ended).toBe(false);
    control.resume();
    await expect.poll(() => chunks).toEqual(['x', 'x']);
    control.resume();
    await expect.poll(() => ended).toBe(true);
  });

  test('a reader that gives up ends transform and source', async () => {
    const reasons: unknown[] = [];
    let cleaned = false;
    const source = queue((reason) => reasons.push(reason));
    source.push(Buffer.from('a'));
    const errors: unknown[] = [];
    const control = transformBody(source, async function* (chunks) {
      try {
        yield* chunks;
      } finally {
        cleaned = true;
      }
    }).attach({ data: () => false, end() {}, error: (error) => errors.push(error) });
    await expect.poll(() => source.used).toBe(true);
    const reason = new Error('enough');
    control.cancel(reason);
    expect(errors).toEqual([reason]);
    await expect.poll(() => [cleaned, reasons.length]).toEqual([true, 1]);
  });

  test('what the transform throws is the error of the body', async () => {
    const body = transformBody(bytesBody('x'), async function* () {
      yield Buffer.from('a');
      throw new Error('broken');
    });
    await expect(readBody(body)).rejects.toThrow('broken');
  });
});

describe('reading a body', () => {
  const message = (body: Body) => ({ headers: HeaderMap.empty(), body });

  test('leaves it in the message', async () => {
    const source = queue();
    source.push(Buffer.from('{"a":'));
    source.push(Buffer.from('1}'));
    source.end();
    const one = message(source);
    expect(await readJson(one, 100)).toEqual({ a: 1 });
    expect((await readBody(one.body)).toString()).toBe('{"a":1}');
  });

  test('takes no more than it may', async () => {
    const reasons: unknown[] = [];
    const source = queue((reason) => reasons.push(reason));
    source.push(Buffer.from('12345'));
    await expect(readBytes(message(source), 4)).rejects.toMatchObject({ code: 'INMESH_BODY_TOO_LARGE' });
    await expect(readBytes(message(bytesBody('12345')), 4)).rejects.toMatchObject({
      code: 'INMESH_BODY_TOO_LARGE',
    });
    expect(reasons).toHaveLength(1);
  });

  test('replacing it tells its length in bytes', () => {
    const one = message(bytesBody('a'));
    one.headers.set('transfer-encoding', 'chunked');
    setBody(one, 'ä');
    expect([...one.headers]).toEqual([['content-length', '2']]);
  });
});
