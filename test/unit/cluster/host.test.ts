import { expect, test } from 'vitest';
import { host } from './fixtures.js';

test('format strings find the metadata of an endpoint under its own namespaces', () => {
  const metadata = { 'envoy.lb': { version: 'v1' }, istio: { workload: 'reviews-v1;default' } };
  expect(host('a', { metadata, transportSocketMatch: { tlsMode: 'istio' } }).metadata).toEqual({
    ...metadata,
    'envoy.transport_socket_match': { tlsMode: 'istio' },
  });
});
