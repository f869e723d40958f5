import { expect, test } from 'vitest';
import { Http2Attempt } from '../../../../src/bindings/http2/attempt.js';
import { Abort } from '../../../../src/runtime/abort.js';
import { EMPTY_BODY, iterateBody } from '../../../../src/service/body.js';
import { createExchange } from '../../../../src/service/context.js';
import { HeaderMap } from '../../../../src/service/headers.js';
import type { Response } from '../../../../src/service/service.js';

// node:http2 emits `response` in a later tick but `data` at once. When it reads from within a running callback, which it
// does where several TLS records are there and the callback sends something, the data comes first.

test('what comes of the body before its head is told of is the beginning of the body', async () => {
  const context = createExchange('outbound', 0, 0);
  const answer = new Promise<Response>((resolve, reject) => {
    const attempt = new Http2Attempt(
      {
        method: 'GET',
        scheme: 'http',
        authority: 'app',
        path: '/',
        headers: HeaderMap.empty(),
        body: EMPTY_BODY,
        abort: new Abort(),
        context,
      },
      resolve,
      reject,
    );
    attempt.onData(Buffer.from('one '));
    attempt.onData(Buffer.from('two '));
    attempt.onResponse(200, [':status', '200', 'content-length', '13'], { 'content-length': '13' }, false);
    attempt.onData(Buffer.from('three'));
  });
  const { status, body } = await answer;
  expect(status).toBe(200);
  expect(context.responseBytes).toBe(13);
  let text = '';
  for await (const chunk of iterateBody(body)) {
    text += String(chunk);
    if (text.length === 13) break;
  }
  expect(text).toBe('one two three');
});
