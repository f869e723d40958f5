import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createMemoryCaStore } from '../../../../src/control-plane/ca/authority-life.js';
import {
  type CertificateAuthorityOptions,
  createCertificateAuthority,
} from '../../../../src/control-plane/ca/certificate-authority.js';
import { createCsr } from '../../../../src/identity/csr.js';
import { readPem } from '../../../../src/identity/pem.js';
import { istioId } from '../../../../src/identity/spiffe-id.js';
import { verifyPeer } from '../../../../src/identity/verify.js';
import { MeshError } from '../../../../src/runtime/errors.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

const id = istioId('cluster.local', 'default', 'reviews');
const DAY = 86_400_000;

async function setUp(options: Partial<CertificateAuthorityOptions> = {}) {
  const clock = createFakeClock();
  const store = createMemoryCaStore();
  const open = () => createCertificateAuthority({ trustDomain: 'cluster.local', clock, store, ...options });
  const { csrPem } = await createCsr(id);
  return { clock, store, open, authority: await open(), csrPem };
}

const count = (live: number, ready: number) => ({ live, ready });
const refused = expect.objectContaining({ code: 'INMESH_CA_ROTATION' });
type Authority = Awaited<ReturnType<typeof setUp>>['authority'];
const phases = (authority: Authority) => authority.status().roots.map(({ phase }) => phase);

describe('the rotation of a root', () => {
  test('goes from prepared to active when clients trust the new root, and the old one goes when they renewed', async () => {
    const { clock, authority, csrPem } = await setUp();
    const before = authority.issue({ csrPem, id });
    const oldRoot = authority.rootPem();
    await authority.rotation.begin();
    expect(phases(authority)).toEqual(['active', 'distributing']);
    expect(authority.bundle().authorities).toHaveLength(2);
    expect(authority.rootPem()).toBe(oldRoot);

    const advance = async (trusting: number, renewed: number, ms: number) => {
      const clients = { trusting: count(100, trusting), renewed: count(100, renewed) };
      await authority.rotation.advance(clients);
      await clock.advance(ms);
      return authority.rotation.advance(clients);
    };
    expect(await advance(98, 0, 60_000)).toBe(false);
    expect(await advance(99, 0, 1_999)).toBe(false);
    expect(await advance(98, 0, 0)).toBe(false);
    expect(await advance(99, 0, 2_000)).toBe(true);
    expect(phases(authority)).toEqual(['retiring', 'active']);
    expect(authority.rootPem()).not.toBe(oldRoot);
    expect(authority.trust().tainted).toHaveLength(1);

    const after = authority.issue({ csrPem, id });
    for (const { chainPem } of [before, after]) {
      const chain = readPem(chainPem[0] ?? '', 'CERTIFICATE');
      expect(verifyPeer(chain, () => authority.bundle(), { nowMs: clock.wallTime() }).id.equals(id)).toBe(
        true,
      );
    }

    expect(await advance(100, 98, 60_000)).toBe(false);
    expect(await advance(98, 100, 60_000)).toBe(false);
    expect(await advance(100, 99, 4_999)).toBe(false);
    expect(await advance(100, 99, 1)).toBe(true);
    expect(phases(authority)).toEqual(['active']);
    expect(authority.bundle().authorities).toEqual([authority.rootPem()]);
    expect(authority.trust()).toMatchObject({
      tainted: [],
      distrusted: [expect.stringMatching(/^[0-9a-f]{64}$/)],
    });
  });

  test('does not go on by itself when it is to wait, and not against clients unless forced', async () => {
    const { clock, authority } = await setUp();
    await authority.rotation.begin({ waits: true });
    await clock.advance(60_000);
    const clients = { trusting: count(10, 5), renewed: count(10, 0) };
    expect(await authority.rotation.advance(clients)).toBe(false);
    await expect(authority.rotation.activate()).rejects.toThrow(refused);
    await authority.rotation.activate({ force: true });
    await expect(authority.rotation.retire()).rejects.toThrow(refused);
    await authority.rotation.retire({ force: true });
    expect(phases(authority)).toEqual(['active']);
  });

  test('is one at a time, and can be given up until the new root signs', async () => {
    const { authority } = await setUp();
    const root = authority.rootPem();
    await authority.rotation.begin();
    await expect(authority.rotation.begin()).rejects.toThrow(refused);
    await authority.rotation.abandon();
    expect(phases(authority)).toEqual(['active']);
    expect(authority.rootPem()).toBe(root);
    await expect(authority.rotation.abandon()).rejects.toThrow(refused);
    await expect(authority.rotation.activate({ force: true })).rejects.toThrow(refused);
    await expect(authority.rotation.retire({ force: true })).rejects.toThrow(refused);
  });

  test('without any client the old root stays until all that it signed has expired', async () => {
    const { clock, authority } = await setUp({ maxWorkloadLifeMs: DAY });
    await authority.rotation.begin();
    const none = { trusting: count(0, 0), renewed: count(0, 0) };
    await authority.rotation.advance(none);
    await clock.advance(2_000);
    expect(await authority.rotation.advance(none)).toBe(true);
    await clock.advance(DAY - 10_000);
    expect(await authority.rotation.advance(none)).toBe(false);
    await clock.advance(20_000);
    expect(await authority.rotation.advance(none)).toBe(true);
    expect(phases(authority)).toEqual(['active']);
  });

  test('another process sees each step, and takes the next one', async () => {
    const { open, authority } = await setUp();
    const other = await open();
    await authority.rotation.begin();
    await other.rotation.activate({ force: true });
    await authority.rotation.retire({ force: true });
    expect(phases(authority)).toEqual(['active']);
    expect((await open()).rootPem()).toBe(authority.rootPem());
  });

  test('another process that looks after the state meanwhile is in nobody’s way', async () => {
    let text: string | undefined;
    let saves = 0;
    let look = () => Promise.resolve();
    const store = {
      load: () => Promise.resolve(text),
      stamp: () => Promise.resolve(`${saves}`),
      async save(next: string) {
        text = next;
        saves++;
        await look();
      },
    };
    const { open, authority } = await setUp({ store });
    const other = await open();
    look = () => {
      look = () => Promise.resolve();
      return other.refresh();
    };
    await authority.rotation.begin();
    expect(phases(authority)).toEqual(['active', 'distributing']);
    expect(phases(other)).toEqual(['active', 'distributing']);
  });

  const steps: Readonly<Record<string, (one: Authority) => Promise<unknown>>> = {
    begin: ({ rotation }) => rotation.begin({ waits: true }),
    activate: ({ rotation }) => rotation.activate({ force: true }),
    retire: ({ rotation }) => rotation.retire({ force: true }),
    abandon: ({ rotation }) => rotation.abandon(),
    revoke: ({ revocation }) => revocation.revoke({ kind: 'serials', value: 'abc' }),
    restart: () => Promise.resolve(),
  };
  const attempt = async (step: string, authority: Authority) => {
    try {
      await steps[step]?.(authority);
    } catch (error) {
      if (!MeshError.is(error) || error.code !== 'INMESH_CA_ROTATION') throw error;
    }
  };
  const holds = (authority: Authority, csrPem: string, nowMs: number) => {
    const { roots, distrusted } = authority.status();
    expect(roots.filter(({ phase }) => phase === 'active')).toHaveLength(1);
    expect(authority.bundle().authorities).toContain(authority.rootPem());
    for (const { fingerprint } of roots) expect(distrusted).not.toContain(fingerprint);
    const chain = readPem(authority.issue({ csrPem, id }).chainPem[0] ?? '', 'CERTIFICATE');
    verifyPeer(chain, () => authority.bundle(), { nowMs });
  };

  test('whatever the steps and restarts: one root signs, everybody trusts it, and none that is distrusted', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...Object.keys(steps)), { maxLength: 12 }),
        async (sequence) => {
          const { open, csrPem, clock, ...rest } = await setUp();
          let authority = rest.authority;
          let told = 0;
          for (const step of sequence) {
            await attempt(step, authority);
            if (step === 'restart') authority = await open();
            holds(authority, csrPem, clock.wallTime());
            const trust = authority.trust();
            expect(trust.sequence).toBeGreaterThanOrEqual(told);
            told = trust.sequence;
          }
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('intermediates', () => {
  const leavesVerify = (authority: Authority, csrPem: string, nowMs: number) => {
    const { chainPem } = authority.issue({ csrPem, id });
    expect(chainPem).toHaveLength(3);
    const chain = chainPem.slice(0, -1).flatMap((pem) => readPem(pem, 'CERTIFICATE'));
    return verifyPeer(chain, () => authority.bundle(), { nowMs });
  };

  test('follow each other by themselves: made at half of the life, in force when a sixth is left', async () => {
    const { clock, authority, csrPem } = await setUp({ intermediateLifeMs: 24 * 3_600_000 });
    const [first] = authority.status().roots[0]?.intermediates ?? [];
    const intermediates = async () => {
      await authority.refresh();
      return authority.status().roots[0]?.intermediates.map(({ phase, fingerprint }) => ({
        phase,
        isFirst: fingerprint === first?.fingerprint,
      }));
    };
    leavesVerify(authority, csrPem, clock.wallTime());
    await clock.advance(11 * 3_600_000);
    expect(await intermediates()).toEqual([{ phase: 'active', isFirst: true }]);
    await clock.advance(2 * 3_600_000);
    expect(await intermediates()).toEqual([
      { phase: 'active', isFirst: true },
      { phase: 'prepared', isFirst: false },
    ]);
    await clock.advance(8 * 3_600_000);
    expect(await intermediates()).toEqual([{ phase: 'active', isFirst: false }]);
    leavesVerify(authority, csrPem, clock.wallTime());
  });

  test('no leaf outlives its intermediate, and one that is late is replaced', async () => {
    const { clock, authority, csrPem } = await setUp({ intermediateLifeMs: 3_600_000 });
    expect(authority.issue({ csrPem, id }).notAfterMs - clock.wallTime()).toBeLessThanOrEqual(3_600_000);
    await clock.advance(3_600_000);
    expect(() => authority.issue({ csrPem, id })).toThrow(
      expect.objectContaining({ code: 'INMESH_CERTIFICATE_EXPIRED' }),
    );
    await authority.refresh();
    leavesVerify(authority, csrPem, clock.wallTime());
  });

  test('a rotated root gets one of its own', async () => {
    const { clock, authority, csrPem } = await setUp({ intermediateLifeMs: DAY });
    await authority.rotation.begin();
    await authority.rotation.activate({ force: true });
    const peer = leavesVerify(authority, csrPem, clock.wallTime());
    expect(peer.id.equals(id)).toBe(true);
    expect(authority.issue({ csrPem, id }).chainPem[2]).toBe(authority.rootPem());
  });
});

describe('what is kept', () => {
  test('is encrypted by a passphrase, and useless without it', async () => {
    const { store, open } = await setUp({ passphrase: 'correct horse' });
    const text = await store.load();
    expect(text).toContain('ENCRYPTED PRIVATE KEY');
    expect(text).not.toMatch(/BEGIN PRIVATE KEY/);
    expect((await open()).status().roots).toHaveLength(1);
    const wrong = createCertificateAuthority({
      trustDomain: 'cluster.local',
      clock: createFakeClock(),
      store,
      passphrase: 'battery',
    });
    await expect(wrong).rejects.toThrow(expect.objectContaining({ code: 'INMESH_CA_KEY' }));
    await expect(wrong).rejects.not.toThrow(/battery/);
  });

  test('that was damaged is refused', async () => {
    const { store, open } = await setUp();
    await store.save((await store.load())?.replace('"sequence":1', '"sequence":2') ?? '');
    await expect(open()).rejects.toThrow(expect.objectContaining({ code: 'INMESH_STORE_CORRUPT' }));
  });
});
