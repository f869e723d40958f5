import { describe, expect, test } from 'vitest';
import {
  firstOf,
  loopbackAuthenticator,
  svidAuthenticator,
  type UnauthenticatedCall,
} from '../../../../src/control-plane/ca/authenticate.js';
import { handleCreateCertificate } from '../../../../src/control-plane/ca/create-certificate.js';
import { isLoopbackPeer } from '../../../../src/control-plane/ca/peer-address.js';
import { systemClock } from '../../../../src/runtime/clock.js';
import { createTestCa } from '../../../../src/testing/test-ca.js';

const ca = await createTestCa();
const claim = { 'x-inmesh-namespace': 'shop', 'x-inmesh-service-account': 'cart' };

function call(peerAddress: string, metadata: Readonly<Record<string, string>> = claim): UnauthenticatedCall {
  return { peerAddress, metadata: (name) => metadata[name] };
}

test.each([
  '127.0.0.1:4711',
  '127.8.9.1:1',
  '127.0.0.1',
  '[::1]:4711',
  '::1:4711',
  '::1',
  '::ffff:127.0.0.1:4711',
  '[::ffff:127.0.0.1]:4711',
  'unix:/run/inmesh.sock',
])('%s is this machine', (peer) => {
  expect(isLoopbackPeer(peer)).toBe(true);
});

test.each([
  '10.0.0.1:4711',
  '1.127.0.0:1',
  '127.0.0.1.evil.test:1',
  'localhost.evil.test:1',
  '2001:db8::1',
  '[2001:db8::1]:80',
  '::ffff:10.0.0.1:80',
  '',
  'unknown',
])('%s is not this machine', (peer) => {
  expect(isLoopbackPeer(peer)).toBe(false);
});

describe('the loopback authenticator', () => {
  const authenticate = loopbackAuthenticator('cluster.local');

  test('believes a process of this machine', () => {
    expect(authenticate(call('127.0.0.1:1'))?.id.toString()).toBe('spiffe://cluster.local/ns/shop/sa/cart');
  });

  test('believes nobody else, whatever they claim', () => {
    expect(authenticate(call('10.0.0.1:1'))).toBeUndefined();
  });

  test('does not know a caller that names no identity', () => {
    expect(authenticate(call('127.0.0.1:1', { 'x-inmesh-namespace': 'shop' }))).toBeUndefined();
  });

  test('refuses names that would be another identity', () => {
    const forged = { ...claim, 'x-inmesh-service-account': 'a/ns/b' };
    expect(() => authenticate(call('127.0.0.1:1', forged))).toThrow(
      expect.objectContaining({ code: 'INMESH_SPIFFE_ID' }),
    );
  });
});

describe('the SVID authenticator', () => {
  const authenticate = svidAuthenticator(
    (name) => (name === 'cluster.local' ? ca.bundle : undefined),
    systemClock,
  );

  test('knows a caller by its certificate and ignores what it claims', async () => {
    const peerCertificate = ca.certificate('reviews', {}).der;
    const identity = await firstOf([authenticate, loopbackAuthenticator('cluster.local')])({
      ...call('127.0.0.1:1'),
      peerCertificate,
    });
    expect(identity?.id.path).toBe('/ns/default/sa/reviews');
  });

  test('refuses a certificate that does not hold', async () => {
    const foreign = await createTestCa();
    const peerCertificate = foreign.certificate('reviews', {}).der;
    expect(() => authenticate({ ...call('127.0.0.1:1'), peerCertificate })).toThrow(
      expect.objectContaining({ code: 'INMESH_TRUST_DOMAIN' }),
    );
  });

  test('does not know a caller without a certificate', () => {
    expect(authenticate(call('127.0.0.1:1'))).toBeUndefined();
  });
});

describe('CreateCertificate', () => {
  test('answers with the chain of the caller, for as long as asked', async () => {
    const { csrPem } = await ca.csr('admin');
    const caller = { id: ca.id('reviews'), authenticator: 'test' };
    const request = { csr: csrPem, validityDurationSeconds: 60n };
    const { certChain } = await handleCreateCertificate(ca.authority, request, { caller });
    expect(certChain).toHaveLength(2);
    expect(certChain[1]).toBe(ca.authority.rootPem());
  });

  test('refuses a caller that nobody knows', async () => {
    const { csrPem } = await ca.csr('admin');
    await expect(
      handleCreateCertificate(
        ca.authority,
        { csr: csrPem, validityDurationSeconds: 0 },
        { caller: undefined },
      ),
    ).rejects.toThrow(expect.objectContaining({ code: 'INMESH_CA_REFUSED' }));
  });

  test('refuses a life below zero', async () => {
    const { csrPem } = await ca.csr('admin');
    const caller = { id: ca.id('admin'), authenticator: 'test' };
    await expect(
      handleCreateCertificate(ca.authority, { csr: csrPem, validityDurationSeconds: -1n }, { caller }),
    ).rejects.toThrow(expect.objectContaining({ code: 'INMESH_CA_REFUSED' }));
  });
});
