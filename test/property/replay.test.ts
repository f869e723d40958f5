import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Body, iterateBody } from '../../src/service/body.js';
import { createReplay } from '../../src/service/replay.js';

/** A streamed body whose chunks come when the test says so. */
function source(chunks: readonly string[]) {
  const waiting: (() => void)[] = [];
  async function* iterate(): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) {
      await new Promise<void>((resolve) => waiting.push(resolve));
      yield Buffer.from(chunk);
    }
  }
  const body: Body = { kind: 'native', value: undefined, length: undefined, iterate };
  return { body, give: () => waiting.shift()?.() };
}

/** What a reader got, and how it ended. */
interface Reading {
  text: string;
  end: 'reading' | 'complete' | 'failed';
}

/** Reads a body one chunk per step. */
function reader(body: Body): { readonly reading: Reading; step(): void } {
  const chunks = iterateBody(body);
  const reading: Reading = { text: '', end: 'reading' };
  let busy = false;
  return {
    reading,
    step() {
      if (busy || reading.end !== 'reading') return;
      busy = true;
      chunks.next().then(
        ({ done, value }) => {
          busy = false;
          if (done === true) reading.end = 'complete';
          else reading.text += Buffer.from(value).toString();
        },
        () => {
          busy = false;
          reading.end = 'failed';
        },
      );
    },
  };
}

/** Lets everything that can go on go on. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

type Step = 'give' | 'step' | 'step-old' | 'again';
const steps = fc.array(fc.constantFrom<Step>('give', 'step', 'step-old', 'again'), { maxLength: 60 });
const bodies = fc.array(fc.string({ minLength: 1, maxLength: 6, unit: 'grapheme-ascii' }), { maxLength: 6 });

/** Plays a script of reads and retries, then lets the newest attempt read to the end. The newest is the last. */
async function play(
  chunks: readonly string[],
  limitBytes: number,
  script: readonly Step[],
): Promise<Reading[]> {
  const { body, give } = source(chunks);
  const replay = createReplay(body, limitBytes);
  const readers = [reader(replay.body())];
  const actions: Record<Step, () => void> = {
    give,
    step: () => readers.at(-1)?.step(),
    'step-old': () => readers[0]?.step(),
    again: () => {
      if (replay.canReplay) readers.push(reader(replay.body()));
    },
  };
  const rest = Array.from({ length: 4 * chunks.length + 8 }, (): Step[] => ['step', 'give']);
  for (const step of [...script, ...rest.flat()]) {
    actions[step]();
    await settle();
  }
  return readers.map(({ reading }) => reading);
}

test('the newest attempt gets the whole body, unchanged, whatever earlier ones do; no earlier one looks complete', async () => {
  await fc.assert(
    fc.asyncProperty(bodies, fc.nat(16), steps, async (chunks, limitBytes, script) => {
      const whole = chunks.join('');
      const readings = await play(chunks, limitBytes, script);
      expect(readings.at(-1)).toEqual({ text: whole, end: 'complete' });
      for (const { text, end } of readings) {
        expect(whole.startsWith(text)).toBe(true);
        if (end === 'complete') expect(text).toBe(whole);
      }
    }),
    { numRuns: 300 },
  );
});
