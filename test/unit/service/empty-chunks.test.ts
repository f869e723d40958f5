import { expect, test } from 'vitest';
import { BodyQueue, iterateBody } from '../../../src/service/body.js';

test('empty chunks reach nobody, and pause nobody', async () => {
  let resumed = 0;
  const queue: BodyQueue = new BodyQueue({
    resume() {
      resumed++;
      // As undici's parser does: first nothing, then what there is.
      expect(queue.push(new Uint8Array())).toBe(true);
      if (resumed > 3) queue.end();
      else queue.push(Buffer.from('a'));
    },
    cancel() {},
  });
  const chunks: string[] = [];
  queue.push(new Uint8Array());
  const reading = (async () => {
    for await (const chunk of iterateBody(queue)) chunks.push(Buffer.from(chunk).toString());
  })();
  await new Promise(setImmediate);
  queue.push(Buffer.from('first'));
  await reading;
  expect(chunks).toEqual(['first', 'a', 'a', 'a']);
});
