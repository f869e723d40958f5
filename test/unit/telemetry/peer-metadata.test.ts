import { describe, expect, test } from 'vitest';
import { encodePeerMetadata, peerMetadataReader } from '../../../src/telemetry/peer-metadata.js';

const REVIEWS = {
  workload: 'reviews',
  namespace: 'shop',
  canonicalService: 'reviews',
  canonicalRevision: 'v2',
  app: 'reviews',
  version: 'v2',
  cluster: 'east',
};

describe('peer metadata', () => {
  test('what one workload writes another one reads', () => {
    expect(peerMetadataReader()(encodePeerMetadata(REVIEWS))).toEqual(REVIEWS);
  });

  test('the metadata of an Istio proxy is read', () => {
    // Struct { NAMESPACE: "ns", WORKLOAD_NAME: "ratings-v1", LABELS: { app: "ratings" } }, encoded by protobuf.
    const text =
      'ChEKCU5BTUVTUEFDRRIEGgJucwodCg1XT1JLTE9BRF9OQU1FEgwaCnJhdGluZ3MtdjEKHgoGTEFCRUxTEhQqEgoQCgNhcHASCRoHcmF0aW5ncw==';
    const peer = peerMetadataReader()(text);
    expect(peer).toMatchObject({
      workload: 'ratings-v1',
      namespace: 'ns',
      app: 'ratings',
      canonicalRevision: 'latest',
    });
  });

  test('equal texts give the same object', () => {
    const read = peerMetadataReader();
    const text = encodePeerMetadata(REVIEWS);
    expect(read(text)).toBe(read(String(Buffer.from(text))));
  });

  test.each(['', '!!!!', Buffer.from([0xff, 0xff]).toString('base64'), 'A'.repeat(9000)])(
    'what is no metadata (%#) names nobody and throws nothing',
    (text) => {
      const peer = peerMetadataReader()(text);
      expect(peer?.workload ?? '').toBe('');
    },
  );
});
