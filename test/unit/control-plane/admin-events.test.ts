import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { streamEvents } from '../../../src/control-plane/admin/events.js';
import type { AdminRequest } from '../../../src/control-plane/admin/http.js';
import type { AdminOptions } from '../../../src/control-plane/admin/options.js';
import { WorkBudget } from '../../../src/control-plane/admin/work-budget.js';
import { History } from '../../../src/control-plane/store/history.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { newStore, routeWith } from './load.js';

/** A response that a reader reads at its own pace. */
class Reader extends EventEmitter {
  text = '';
  writableLength = 0;
  isOver = false;
  writeHead(): void {}
  write(text: string): void {
    this.text += text;
  }
  end(): void {
    this.isOver = true;
    this.emit('close');
  }
  destroy(): void {
    this.end();
  }
}

function setUp() {
  const clock = createFakeClock();
  const store = newStore();
  let isAllowed = true;
  const request = {
    query: new URLSearchParams(),
    lastEventId: undefined,
    isStillAllowed: () => Promise.resolve(isAllowed),
  } as unknown as AdminRequest;
  const config = { store, history: new History(), revision: 0 };
  // The stream uses these alone.
  const { stream } = streamEvents(request, { config, clock } as unknown as AdminOptions);
  const reader = new Reader();
  stream?.(reader as unknown as ServerResponse);
  return { clock, store, reader, forbid: () => (isAllowed = false) };
}

test('a stream shows that it stands, and ends when its caller may not read any more', async () => {
  const { clock, reader, forbid } = setUp();
  await clock.advance(30_000);
  expect(reader.text.match(/: still here/g)).toHaveLength(2);
  expect(reader.isOver).toBe(false);
  forbid();
  await clock.advance(15_000);
  expect(reader.isOver).toBe(true);
  expect(clock.pending).toBe(0);
});

test('who reads nothing is cut off, and nothing is kept for them', async () => {
  const { clock, store, reader } = setUp();
  reader.writableLength = 1024 * 1024 + 1;
  store.propose('files', { files: [{ file: 'mesh.yaml', content: routeWith('timeout: soon') }] });
  expect(reader.isOver).toBe(true);
  expect(clock.pending).toBe(0);
});

test('work that took longer than there was is paid for before there is more', async () => {
  const clock = createFakeClock();
  const budget = new WorkBudget(clock);
  const work = (ms: number) => () => {
    clock.block(ms);
    return { status: 200 };
  };
  expect((await budget.spend(work(9_000))).status).toBe(200);
  expect((await budget.spend(work(3_000))).status).toBe(200);
  const refused = await budget.spend(work(1));
  expect(refused).toMatchObject({ status: 429, body: { error: { code: 'INMESH_ADMIN_RATE' } } });
  await clock.advance(Number(refused.headers?.['retry-after']) * 1_000);
  expect((await budget.spend(work(1))).status).toBe(200);
});
