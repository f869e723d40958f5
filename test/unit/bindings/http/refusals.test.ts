import { expect, test } from 'vitest';
import { Refusals } from '../../../../src/bindings/http/refusals.js';
import { MeshError } from '../../../../src/runtime/errors.js';
import { silentLogger } from '../../../../src/runtime/log.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

test('each reason is logged at most once in ten seconds, with the number left out', async () => {
  const lines: unknown[] = [];
  const clock = createFakeClock();
  const logger = {
    ...silentLogger,
    warn: (fields: Readonly<Record<string, unknown>>) => lines.push([fields['reason'], fields['suppressed']]),
  };
  const refusals = new Refusals(logger, clock);
  const error = new MeshError('INMESH_PLAINTEXT_REFUSED', 'refused');
  refusals.add('plaintext', '10.0.0.1:1', error);
  for (let i = 0; i < 7; i++) refusals.add('plaintext', '10.0.0.1:1', error);
  refusals.add('silent', '10.0.0.1:1', error);
  await clock.advance(10_000);
  refusals.add('plaintext', '10.0.0.1:1', error);
  expect(lines).toEqual([
    ['plaintext', undefined],
    ['silent', undefined],
    ['plaintext', 7],
  ]);
  expect(refusals.counts).toMatchObject({ plaintext: 9, silent: 1, handshake: 0 });
});
