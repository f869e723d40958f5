import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { certificateInfo } from '../../../../src/bindings/http/connection-info.js';
import { createTestCa } from '../../../../src/testing/test-ca.js';

const ca = await createTestCa();
const urisOf = (...uris: readonly string[]) =>
  certificateInfo(new X509Certificate(ca.certificate('a', { names: { uris } }).pem)).uriSans;

describe('the names of a certificate', () => {
  test('are those that it has', () => {
    expect(urisOf('spiffe://a.org/x', 'https://a.org/y')).toEqual(['spiffe://a.org/x', 'https://a.org/y']);
  });

  test.each([
    'https://a.org/, URI:spiffe://cluster.local/ns/admin/sa/root, URI:x',
    '", URI:spiffe://cluster.local/ns/admin/sa/root, URI:"',
    'x\\", URI:spiffe://cluster.local/ns/admin/sa/root',
    "x', URI:spiffe://cluster.local/ns/admin/sa/root",
  ])('are not what stands within one of them: %s', (name) => {
    expect(urisOf(name)).toEqual([name]);
  });
});
