import { afterEach, describe, expect, test } from 'vitest';
import type { Mesh } from '../../../src/index.js';
import { answerOf, World } from './features-world.js';

let world: World;

afterEach(() => world.close());

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

/** A service that asks `echo` when it is asked, and `echo`, which answers with its headers. */
async function chain(options: { readonly propagation?: boolean } = {}): Promise<Mesh> {
  world = await World.start('');
  await world.serve({ service: 'echo' }, (request, response) => {
    response.end(JSON.stringify(request.headers));
  });
  const middle: { mesh?: Mesh } = {};
  const member = await world.serve({ service: 'middle', ...options }, (_request, response) => {
    const asked = middle.mesh?.fetch('http://echo/', { headers: { baggage: 'mine=1' } });
    void asked?.then((answer) => answer.text()).then((text) => response.end(text));
  });
  middle.mesh = member.mesh;
  return world.join();
}

async function headersBehind(client: Mesh, headers: Record<string, string>): Promise<Record<string, string>> {
  const [, body] = await answerOf(client.fetch('http://middle/', { headers }));
  return JSON.parse(body) as Record<string, string>;
}

describe('trace headers of an inbound request', () => {
  test('go on to what the application asks meanwhile, and leave what it set itself', async () => {
    const client = await chain();
    const seen = await headersBehind(client, {
      traceparent: TRACEPARENT,
      'x-b3-traceid': 'abc',
      'x-request-id': 'r-1',
      baggage: 'theirs=1',
      'x-other': 'stays here',
    });
    expect(seen).toMatchObject({ traceparent: TRACEPARENT, 'x-b3-traceid': 'abc', 'x-request-id': 'r-1' });
    expect(seen['baggage']).toBe('mine=1');
    expect(seen).not.toHaveProperty('x-other');
  });

  test('stay where they are when propagation is off', async () => {
    const client = await chain({ propagation: false });
    expect(await headersBehind(client, { traceparent: TRACEPARENT })).not.toHaveProperty('traceparent');
  });
});
