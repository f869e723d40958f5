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

describe('the deadline of an inbound request', () => {
  test('bounds what the application asks meanwhile, and each hop is told what is left', async () => {
    const client = await chain();
    const seen = await headersBehind(client, { 'x-envoy-upstream-rq-timeout-ms': '20000' });
    const left = Number(seen['x-envoy-expected-rq-timeout-ms']);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(20_000);
  });

  test('ends a call that would outlast it', async () => {
    world = await World.start('');
    await world.serve({ service: 'hangs' }, () => {});
    const middle: { mesh?: Mesh } = {};
    let tell = (_status: number): void => {};
    const inner = new Promise<number>((resolve) => {
      tell = resolve;
    });
    const member = await world.serve({ service: 'middle' }, (_request, response) => {
      void middle.mesh?.fetch('http://hangs/').then(({ status }) => {
        tell(status);
        response.end();
      });
    });
    middle.mesh = member.mesh;
    const client = await world.join();
    const headers = { 'x-envoy-upstream-rq-timeout-ms': '1000' };
    const answer = await client.fetch('http://middle/', { headers });
    expect(answer.status).toBe(504);
    expect(await inner).toBe(504);
  });

  test('holds no longer than the request: what the application starts for later is free of it', async () => {
    world = await World.start('');
    await world.serve({ service: 'echo' }, (request, response) => {
      response.end(JSON.stringify(request.headers));
    });
    const middle: { mesh?: Mesh } = {};
    let later = (_text: string): void => {};
    const asked = new Promise<string>((resolve) => {
      later = resolve;
    });
    const member = await world.serve({ service: 'middle' }, (_request, response) => {
      response.end('now');
      response.on('close', () => {
        void middle.mesh
          ?.fetch('http://echo/')
          .then((answer) => answer.text())
          .then(later);
      });
    });
    middle.mesh = member.mesh;
    const client = await world.join();
    await answerOf(
      client.fetch('http://middle/', { headers: { 'x-envoy-upstream-rq-timeout-ms': '20000' } }),
    );
    expect(JSON.parse(await asked)).not.toHaveProperty('x-envoy-expected-rq-timeout-ms');
  });
});
