import { describe, expect, test } from 'vitest';
import { authorizeIds } from '../../../src/identity/authorizer.js';
import { createX509Bundle, type X509Bundle } from '../../../src/identity/bundle.js';
import { PeerVerifier } from '../../../src/identity/peer-verifier.js';
import { revocationList } from '../../../src/identity/revocation.js';
import { createTestCa } from '../../../src/testing/test-ca.js';

const ca = await createTestCa();
const { der } = ca.certificate('reviews', {});
const nowMs = Date.now();

function setUp() {
  const state: { bundle: X509Bundle | undefined; asked: number } = { bundle: ca.bundle, asked: 0 };
  const verifier = new PeerVerifier(() => {
    state.asked++;
    return state.bundle;
  });
  return { state, verifier, verify: (at = nowMs) => verifier.verify([der], { nowMs: at }) };
}

describe('a chain that held once', () => {
  test('holds again', () => {
    const { verify } = setUp();
    expect(verify()).toEqual(verify());
    expect(verify().id).toEqual(ca.id('reviews'));
  });

  test('is refused when it has expired, or the clock went back before it', () => {
    const { verify } = setUp();
    verify();
    for (const at of [nowMs + 2 * 86_400_000, nowMs - 3_600_000])
      expect(() => verify(at)).toThrow('INMESH_CERTIFICATE_EXPIRED');
    expect(verify().id).toEqual(ca.id('reviews'));
  });

  test('is refused as soon as another bundle is in force, or none', async () => {
    const { state, verify } = setUp();
    verify();
    state.bundle = (await createTestCa()).bundle;
    expect(() => verify()).toThrow('INMESH_TRUST_DOMAIN');
    state.bundle = undefined;
    expect(() => verify()).toThrow('INMESH_TRUST_DOMAIN');
  });

  test('is refused as soon as it is revoked', () => {
    const { state, verify } = setUp();
    verify();
    const revoked = revocationList({ serials: [], ids: [ca.id('reviews').toString()], keys: [] });
    state.bundle = createX509Bundle(ca.trustDomain, ca.bundle.authorities, revoked);
    expect(() => verify()).toThrow('INMESH_CERTIFICATE_REVOKED');
  });

  test('is judged by each authorizer anew', () => {
    const { verifier } = setUp();
    verifier.verify([der], { nowMs });
    const authorizer = authorizeIds([ca.id('ratings')]);
    expect(() => verifier.verify([der], { nowMs, authorizer })).toThrow('INMESH_PEER_IDENTITY');
  });

  test('vouches for its own bytes only', () => {
    const { verify, verifier } = setUp();
    verify();
    const forged = Buffer.from(der);
    forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1;
    expect(() => verifier.verify([forged], { nowMs })).toThrow('INMESH_TRUST_DOMAIN');
    // The same bytes, cut elsewhere.
    expect(() => verifier.verify([der.subarray(0, 100), der.subarray(100)], { nowMs })).toThrow(
      'INMESH_SVID_INVALID',
    );
  });
});
