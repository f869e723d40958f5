import { X509Certificate } from 'node:crypto';
import { expect } from 'vitest';
import { createX509Bundle, type X509Bundle } from '../../src/identity/bundle.js';
import { validateJwtSvid } from '../../src/identity/jwt-svid.js';
import { readPem } from '../../src/identity/pem.js';
import { parseSpiffeBundle } from '../../src/identity/spiffe-bundle.js';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.js';
import { verifyPeer } from '../../src/identity/verify.js';
import { MeshError } from '../../src/runtime/errors.js';
import { createTestCa } from '../../src/testing/test-ca.js';
import { withinCpuMs } from './cpu-time.js';
import { vectorJson, vectorSuite } from './score.js';

const workload = 'spiffe://domain1.test/workload';

function casesOf<T>(file: string): T[] {
  return (vectorJson(file) as { cases: T[] } | undefined)?.cases ?? [];
}

/** What `run` returns, or undefined when it refuses; any error but our own fails the test. */
function accepted<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (MeshError.is(error)) return undefined;
    throw error;
  }
}

interface IdCase {
  readonly input: string;
  readonly valid: boolean | null;
  readonly trustDomain?: string;
  readonly path?: string | null;
}

vectorSuite({
  file: 'spiffe/id-parse.json',
  cases: casesOf<IdCase>('spiffe/id-parse.json'),
  title: ({ input }) => JSON.stringify(input.slice(0, 100)),
  run({ input, valid, trustDomain, path }) {
    const id = accepted(() => parseSpiffeId(input));
    if (valid !== null) expect(id !== undefined).toBe(valid);
    if (valid) expect({ trustDomain: id?.trustDomain, path: id?.path }).toEqual({ trustDomain, path });
  },
});

vectorSuite({
  file: 'spiffe/trustdomain-parse.json',
  cases: casesOf<IdCase>('spiffe/trustdomain-parse.json'),
  title: ({ input }) => JSON.stringify(input.slice(0, 100)),
  run({ input, valid, trustDomain }) {
    const name = accepted(() => parseTrustDomain(input));
    if (valid !== null) expect(name !== undefined).toBe(valid);
    if (valid) expect(name).toBe(trustDomain);
  },
});

interface SvidCase {
  readonly id: string;
  readonly accept: boolean | null;
  readonly expectedId: string | null;
  readonly time: string;
  readonly chain: string[];
  readonly bundles: Record<string, string[]>;
}

vectorSuite({
  file: 'spiffe/x509-svid.json',
  cases: casesOf<SvidCase>('spiffe/x509-svid.json'),
  title: ({ id }) => id,
  async run({ accept, expectedId, time, chain, bundles }) {
    const all = new Map<string, X509Bundle>();
    for (const [name, roots] of Object.entries(bundles)) all.set(name, createX509Bundle(name, roots));
    const peer = await withinCpuMs(250, () =>
      accepted(() =>
        verifyPeer(
          chain.flatMap((pem) => readPem(pem, 'CERTIFICATE')),
          (name) => all.get(name),
          { nowMs: Date.parse(time) },
        ),
      ),
    );
    if (accept !== null) expect(peer !== undefined).toBe(accept);
    if (accept === true) expect(peer?.id.toString()).toBe(expectedId);
  },
});

interface JwtCase {
  readonly id: string;
  readonly token: string;
  readonly accept: boolean | null;
  readonly expectedId: string | null;
  readonly audience: string;
  /** Seconds. */
  readonly now: number;
}

const jwtVectors = vectorJson('spiffe/jwt-svid.json') as { bundles: Record<string, unknown> } | undefined;
const jwtBundles = new Map(
  Object.entries(jwtVectors?.bundles ?? {}).map(
    ([name, document]) => [name, parseSpiffeBundle(name, JSON.stringify(document)).jwt] as const,
  ),
);

vectorSuite({
  file: 'spiffe/jwt-svid.json',
  cases: casesOf<JwtCase>('spiffe/jwt-svid.json'),
  title: ({ id }) => id,
  async run({ token, accept, expectedId, audience, now }) {
    const svid = await withinCpuMs(250, () =>
      validateJwtSvid(token, (name) => jwtBundles.get(name), { audience, nowMs: now * 1000 }).catch(
        (error: unknown) => {
          if (MeshError.is(error)) return undefined;
          throw error;
        },
      ),
    );
    if (accept !== null) expect(svid !== undefined).toBe(accept);
    if (accept === true) expect(svid?.id.toString()).toBe(expectedId);
  },
});

interface CsrCase {
  readonly id: string;
  readonly csr: string;
  readonly must: {
    readonly issue?: boolean;
    readonly orReject?: boolean;
    readonly reject?: boolean;
    readonly maxMs?: number;
    readonly neverContains?: string[];
  };
}

vectorSuite({
  file: 'spiffe/csr.json',
  cases: casesOf<CsrCase>('spiffe/csr.json'),
  title: ({ id }) => id,
  async run({ csr, must }) {
    const ca = await createTestCa({ trustDomain: 'domain1.test' });
    const issued = await withinCpuMs(must.maxMs ?? 250, () =>
      accepted(() => ca.authority.issue({ csrPem: csr, id: parseSpiffeId(workload) })),
    );
    if (must.reject) expect(issued).toBeUndefined();
    if (must.issue && !must.orReject) expect(issued).toBeDefined();
    if (issued === undefined) return;
    const leaf = new X509Certificate(issued.chainPem[0]!);
    expect(leaf.subjectAltName).toBe(`URI:${workload}`);
    expect(leaf.subject).toBeUndefined();
    for (const text of must.neverContains ?? []) expect(leaf.raw.toString('latin1')).not.toContain(text);
    expect(verifyPeer([leaf.raw], () => ca.bundle, { nowMs: Date.now() }).id.toString()).toBe(workload);
  },
});
