import type { RequestListener, ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { answerOf, World } from './features-world.js';

let world: World;

afterEach(() => world.close());

/** Answers with the names of the headers that it got. */
const headerNames: RequestListener = (request, response) => {
  response.end(Object.keys(request.headers).join(' '));
};

/** The labels of the first counter in a text of metrics. */
function labelsOf(text: string): Record<string, string> {
  const line = text.split('\n').find((one) => one.startsWith('istio_requests_total{')) ?? '';
  return Object.fromEntries([...line.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
}

describe('Istio metrics of both sides', () => {
  test('name caller and callee alike, and the application sees nothing of the exchange', async () => {
    world = await World.start('');
    const member = await world.serve({ service: 'echo', version: 'v7' }, headerNames);
    const client = await world.join({ service: 'web', version: 'v3' });
    const [, names] = await answerOf(client.fetch('http://echo/'));
    expect(names).not.toContain('x-envoy-peer');
    const shared = {
      source_workload: 'web',
      source_version: 'v3',
      source_workload_namespace: 'default',
      destination_workload: 'echo',
      destination_version: 'v7',
      destination_service: 'echo.default.svc.cluster.local',
      destination_service_name: 'echo',
      response_code: '200',
      request_protocol: 'http',
    };
    expect(labelsOf(client.metrics())).toMatchObject({
      ...shared,
      reporter: 'source',
      // From the endpoint's metadata: nothing of it was asked for on the wire.
      destination_canonical_service: 'echo',
      destination_cluster: 'Kubernetes',
      connection_security_policy: 'unknown',
    });
    expect(labelsOf(member.mesh.metrics())).toMatchObject({
      ...shared,
      reporter: 'destination',
      connection_security_policy: 'mutual_tls',
      source_principal: 'spiffe://cluster.local/ns/default/sa/default',
    });
  });

  test.each([
    ['in one piece', (response: ServerResponse) => response.end('x'.repeat(2_000))],
    [
      'in chunks',
      (response: ServerResponse) => {
        response.write('x'.repeat(1_500));
        response.end(Buffer.alloc(500));
      },
    ],
    [
      'with a length of its own',
      (response: ServerResponse) =>
        response.writeHead(200, { 'content-length': 2_000 }).end('x'.repeat(2_000)),
    ],
  ] as const)('bytes of bodies are counted on both sides: %s', async (_name, answer) => {
    world = await World.start('');
    const member = await world.serve({ service: 'echo' }, (request, response) => {
      request.resume().once('end', () => answer(response));
    });
    const client = await world.join({ service: 'web' });
    await answerOf(client.fetch('http://echo/', { method: 'POST', body: 'y'.repeat(300) }));
    for (const text of [client.metrics(), member.mesh.metrics()]) {
      expect(text).toMatch(/istio_request_bytes_sum\{[^}]*\} 300\n/);
      expect(text).toMatch(/istio_response_bytes_sum\{[^}]*\} 2000\n/);
    }
  });

  test('a response to HEAD has no bytes, whatever its length says', async () => {
    world = await World.start('');
    const member = await world.serve({ service: 'echo' }, (_request, response) =>
      response.end('x'.repeat(70)),
    );
    const client = await world.join({ service: 'web' });
    await answerOf(client.fetch('http://echo/', { method: 'HEAD' }));
    expect(member.mesh.metrics()).toMatch(/istio_response_bytes_sum\{[^}]*\} 0\n/);
  });
});
