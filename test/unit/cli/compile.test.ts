import { expect, test } from 'vitest';
import { run } from './run.js';

const DOCUMENT = 'test/golden/control-plane/documents/shop.yaml';

test('inmesh compile prints resources, and what gRPC clients do not follow', async () => {
  const { code, out, err } = await run('compile', '-f', DOCUMENT, '--profile', 'grpc');
  expect(code).toBe(0);
  const { listeners, clusters } = JSON.parse(out);
  expect(listeners[0]['@type']).toBe('type.googleapis.com/envoy.config.listener.v3.Listener');
  expect(clusters.map(({ name }: { name: string }) => name)).toContain(
    'outbound|8000||catalog.default.svc.cluster.local',
  );
  expect(err).toMatch(/ on gRPC clients/);
});

test('inmesh compile says what is wrong with documents, and fails', async () => {
  const { code, out, err } = await run('compile', '-f', 'no-such-file.yaml');
  expect([code, out]).toEqual([2, '']);
  expect(err).toMatch(/no-such-file\.yaml/);
});
