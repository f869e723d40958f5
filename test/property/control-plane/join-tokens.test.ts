import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import {
  createDirectoryJoinTokenStore,
  createMemoryJoinTokenStore,
} from '../../../src/control-plane/access/join-token-stores.js';
import {
  type CreatedJoinToken,
  createJoinTokens,
  type JoinTokenStore,
  type JoinTokens,
} from '../../../src/control-plane/access/join-tokens.js';
import { istioId } from '../../../src/identity/spiffe-id.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';

const folder = await mkdtemp(join(tmpdir(), 'inmesh-join-'));
afterAll(() => rm(folder, { recursive: true }));
let stores = 0;

/** What callers do at the same time: use a token, revoke it, wait, or restart the control plane. */
const steps = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('use' as const),
      token: fc.nat(3),
      callers: fc.integer({ min: 1, max: 6 }),
    }),
    fc.record({ kind: fc.constant('revoke' as const), token: fc.nat(3) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1_000, 59_999, 1) }),
    fc.record({ kind: fc.constant('list' as const) }),
  ),
  { maxLength: 12 },
);

type Step =
  | { readonly kind: 'use'; readonly token: number; readonly callers: number }
  | { readonly kind: 'revoke'; readonly token: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'list' };

/** Two control planes with one store of tokens, and what must be true of these. */
class Play {
  readonly #clock = createFakeClock();
  readonly #planes: readonly [JoinTokens, JoinTokens];
  readonly #gone = new Set<string>();
  #tokens: readonly CreatedJoinToken[] = [];

  constructor(store: JoinTokenStore) {
    const plane = () => createJoinTokens(store, { clock: this.#clock, trustDomain: 'd.test' });
    this.#planes = [plane(), plane()];
  }

  async run(all: readonly Step[]): Promise<void> {
    const ids = [0, 1, 2, 3].map((index) => istioId('d.test', 'shop', `w${index}`));
    this.#tokens = await Promise.all(ids.map((id, index) => this.#planes[0].create(id, 60_000 + index)));
    for (const step of all) await this.#step(step);
  }

  async #step(step: Step): Promise<void> {
    if (step.kind === 'wait') await this.#clock.advance(step.ms);
    else if (step.kind === 'list') await this.#planes[1].list();
    else {
      const token = this.#tokens[step.token];
      if (token === undefined) return;
      if (step.kind === 'use') await this.#use(token, step.callers);
      else if ((await this.#planes[0].revoke(token.hash)) && this.#gone.has(token.hash)) {
        throw new Error('a token was revoked that was used or revoked before');
      }
      this.#gone.add(token.hash);
    }
  }

  async #use(token: CreatedJoinToken, callers: number): Promise<void> {
    const isOver = this.#clock.wallTime() >= token.expiresAtMs;
    const got = await Promise.all(
      Array.from({ length: callers }, (_, caller) =>
        this.#planes[caller % 2 === 0 ? 0 : 1].use(token.token.reveal()),
      ),
    );
    const winners = got.filter((id) => id !== undefined).map(String);
    const expected = isOver || this.#gone.has(token.hash) ? [] : [token.id];
    if (!isDeepStrictEqual(winners, expected))
      throw new Error(`${winners.join()} instead of ${expected.join()}`);
  }
}

describe.each([
  ['in memory', () => createMemoryJoinTokenStore(), 150],
  ['in a folder', () => createDirectoryJoinTokenStore(join(folder, String(stores++))), 30],
] as const)('join tokens %s', (_, makeStore, numRuns) => {
  test('none is used twice, however uses, revocations and expiry interleave', async () => {
    await fc.assert(
      fc.asyncProperty(steps, (all) => new Play(makeStore()).run(all)),
      { numRuns },
    );
  });
});

test('fifty at a time: one wins, and nothing of the token is left in the folder', async () => {
  const directory = join(folder, 'race');
  const clock = createFakeClock();
  const planes = Array.from({ length: 50 }, () =>
    createJoinTokens(createDirectoryJoinTokenStore(directory), { clock, trustDomain: 'd.test' }),
  );
  const [first] = planes;
  const created = await first?.create(istioId('d.test', 'a', 'b'));
  const text = created?.token.reveal() ?? '';
  expect((await readdir(directory)).join()).not.toContain(text);
  const got = await Promise.all(planes.map((plane) => plane.use(text)));
  expect(got.filter((id) => id !== undefined)).toHaveLength(1);
  expect(await readdir(directory)).toEqual([]);
});
