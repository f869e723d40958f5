import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createX509Bundle, type X509Bundle } from '../../src/identity/bundle.js';
import { readPem } from '../../src/identity/pem.js';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.js';
import { verifyPeer } from '../../src/identity/verify.js';
import { MeshError } from '../../src/runtime/errors.js';
import { createTestCa } from '../../src/testing/test-ca.js';
import { cpuMsOf } from './cpu-time.js';

const folder = new URL('../../../shared/vectors/spiffe/', import.meta.url);
const workload = 'spiffe://domain1.test/workload';
const hasVectors = existsSync(folder);

function load<T>(name: string): T[] {
  if (!hasVectors) return [];
  return (JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as { cases: T[] }).cases;
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

test('the vectors are read when their folder is there', () => {
  expect(load('id-parse.json').length > 0).toBe(hasVectors);
});

interface IdCase {
  readonly input: string;
  readonly valid: boolean | null;
  readonly trustDomain?: string;
  readonly path?: string | null;
}

describe.runIf(hasVectors)('SPIFFE vectors', () => {
  const ids = load<IdCase>('id-parse.json');
  test.each(ids)('SPIFFE ID $input', ({ input, valid, trustDomain, path }) => {
    const id = accepted(() => parseSpiffeId(input));
    if (valid !== null) expect(id !== undefined).toBe(valid);
    if (valid) expect({ trustDomain: id?.trustDomain, path: id?.path }).toEqual({ trustDomain, path });
  });

  const domains = load<IdCase>('trustdomain-parse.json');
  test.each(domains)('trust domain $input', ({ input, valid, trustDomain }) => {
    const name = accepted(() => parseTrustDomain(input));
    if (valid !== null) expect(name !== undefined).toBe(valid);
    if (valid) expect(name).toBe(trustDomain);
  });

  interface SvidCase {
    readonly id: string;
    readonly accept: boolean | null;
    readonly expectedId: string | null;
    readonly time: string;
    readonly chain: string[];
    readonly bundles: Record<string, string[]>;
  }
  test.each(load<SvidCase>('x509-svid.json'))('X.509-SVID $id', ({ accept, expectedId, time, chain, bundles }) => {
    const all = new Map<string, X509Bundle>();
    for (const [name, roots] of Object.entries(bundles)) all.set(name, createX509Bundle(name, roots));
    const { result: peer, cpuMs } = cpuMsOf(() =>
      accepted(() =>
        verifyPeer(
          chain.flatMap((pem) => readPem(pem, 'CERTIFICATE')),
          (name) => all.get(name),
          { nowMs: Date.parse(time) },
        ),
      ),
    );
    expect(cpuMs).toBeLessThan(250);
    if (accept !== null) expect(peer !== undefined).toBe(accept);
    if (accept === true) expect(peer?.id.toString()).toBe(expectedId);
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
  test.each(load<CsrCase>('csr.json'))('signing request $id', async ({ csr, must }) => {
    const ca = await createTestCa({ trustDomain: 'domain1.test' });
    const { result: issued, cpuMs } = cpuMsOf(() =>
      accepted(() => ca.authority.issue({ csrPem: csr, id: parseSpiffeId(workload) })),
    );
    expect(cpuMs).toBeLessThan(must.maxMs ?? 250);
    if (must.reject) expect(issued).toBeUndefined();
    if (must.issue && !must.orReject) expect(issued).toBeDefined();
    if (issued === undefined) return;
    const leaf = new X509Certificate(issued.chainPem[0]!);
    expect(leaf.subjectAltName).toBe(`URI:${workload}`);
    expect(leaf.subject).toBeUndefined();
    for (const text of must.neverContains ?? []) expect(leaf.raw.toString('latin1')).not.toContain(text);
    expect(verifyPeer([leaf.raw], () => ca.bundle, { nowMs: Date.now() }).id.toString()).toBe(workload);
  });
});
