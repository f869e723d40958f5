import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createX509Bundle } from '../../../src/identity/bundle.js';
import { revocationList } from '../../../src/identity/revocation.js';
import { createSettableSource, staticSource } from '../../../src/identity/source.js';
import { parseX509Svid } from '../../../src/identity/x509-svid.js';
import { createTestCa } from '../../../src/testing/test-ca.js';

const refused = (text: string) =>
  expect.objectContaining({ code: 'INMESH_SVID_INVALID', message: expect.stringContaining(text) });

const ca = await createTestCa();

describe('parseX509Svid', () => {
  test('reads a leaf and its key, and leaves the root out', () => {
    const { pem, privateKey } = ca.certificate('shop/cart', {});
    const svid = parseX509Svid([pem, ca.authority.rootPem()], privateKey);
    expect(svid.id.toString()).toBe('spiffe://cluster.local/ns/shop/sa/cart');
    expect(svid.certificatesPem).toEqual([pem]);
    expect(svid.notAfterMs - svid.notBeforeMs).toBe(86_400_000 + 120_000);
  });

  test('reads a key from PEM', () => {
    const { pem, privateKey } = ca.certificate('a', {});
    const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(parseX509Svid(pem, keyPem).id.path).toBe('/ns/default/sa/a');
  });

  test('refuses the key of another certificate', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(() => parseX509Svid(ca.certificate('a', {}).pem, privateKey)).toThrow(
      refused('another certificate'),
    );
  });

  test('refuses text without a certificate, and a key that is none, without quoting it', () => {
    const { pem, privateKey } = ca.certificate('a', {});
    expect(() => parseX509Svid('hello', privateKey)).toThrow(refused('no PEM'));
    expect(() => parseX509Svid(pem, 'hunter2')).toThrow(refused('cannot be read'));
    expect(() => parseX509Svid(pem, 'hunter2')).not.toThrow('hunter2');
  });

  test('refuses a workload certificate behind the leaf', () => {
    const { pem, privateKey } = ca.certificate('a', {});
    expect(() => parseX509Svid([pem, ca.certificate('b', {}).pem], privateKey)).toThrow(
      refused('no authority'),
    );
  });
});

describe('createX509Bundle', () => {
  test('holds each authority once', () => {
    const root = ca.authority.rootPem();
    expect(createX509Bundle('cluster.local', root + root).authorities).toEqual([root]);
  });

  test('refuses the certificate of a workload', () => {
    expect(() => createX509Bundle('cluster.local', ca.certificate('a', {}).pem)).toThrow(
      refused('no authority'),
    );
  });
});

describe('sources', () => {
  test('a static source supplies what it was given', () => {
    const svid = ca.svid('a');
    const source = staticSource(svid, [ca.bundle]);
    expect(source.svid()).toBe(svid);
    expect(source.bundle('cluster.local')).toBe(ca.bundle);
    expect(source.bundle('other.test')).toBeUndefined();
  });

  test('a trust domain named like a property of objects is no accident', () => {
    expect(staticSource(undefined, []).bundle('__proto__')).toBeUndefined();
    expect(staticSource(undefined, []).bundle('constructor')).toBeUndefined();
  });

  test('a settable source tells of changes of content only', () => {
    const svid = ca.svid('a');
    const { bundle } = ca;
    const other = createX509Bundle('other.test', ca.bundle.authorities);
    const source = createSettableSource({ svid, bundles: [bundle, other] });
    let calls = 0;
    source.onUpdate(() => calls++);
    const again = parseX509Svid(
      svid.certificatesPem,
      svid.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    );
    source.set({
      svid: again,
      bundles: [other, createX509Bundle(bundle.trustDomain, bundle.authorities)],
      federated: [],
    });
    expect([calls, source.svid()]).toEqual([0, svid]);
    const revoked = revocationList({ serials: ['ab'], ids: [], keys: [] });
    const states = [
      { svid, bundles: [bundle] },
      { svid, bundles: [bundle], federated: ['other.test'] },
      { svid, bundles: [createX509Bundle(bundle.trustDomain, bundle.authorities, revoked)] },
      { svid: ca.svid('a'), bundles: [bundle] },
      { svid: undefined, bundles: [bundle] },
    ];
    for (const [index, state] of states.entries()) {
      source.set(state);
      source.set({ ...state });
      expect(calls).toBe(index + 1);
      expect(source.svid()).toBe(state.svid);
    }
  });

  test('a settable source tells its listeners until they unsubscribe', () => {
    const source = createSettableSource();
    let calls = 0;
    const unsubscribe = source.onUpdate(() => calls++);
    source.set({ svid: ca.svid('a'), bundles: [] });
    unsubscribe();
    source.set({ svid: undefined, bundles: [] });
    expect(calls).toBe(1);
    expect(source.svid()).toBeUndefined();
  });
});
