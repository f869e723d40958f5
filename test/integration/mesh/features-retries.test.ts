import type { RequestListener } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import type { Mesh } from '../../../src/index.js';
import { answerOf, istio, recordExchanges, World } from './features-world.js';

let world: World;

afterEach(() => world.close());

interface Scene {
  readonly client: Mesh;
  readonly counts: string[];
  readonly exchanges: ReturnType<typeof recordExchanges>['exchanges'];
}

/** One service behind the given route fields, and a client; `counts` are the attempt counts that the server saw. */
async function scene(fields: string, handler: RequestListener): Promise<Scene> {
  const route = `hosts: [echo]
http:
  - route: [{ destination: { host: echo } }]
${fields.replace(/^/gm, '    ')}`;
  world = await World.start(fields === '' ? '' : istio('VirtualService', 'echo', route));
  const counts: string[] = [];
  await world.serve({ service: 'echo' }, (request, response) => {
    counts.push(String(request.headers['x-envoy-attempt-count']));
    handler(request, response);
  });
  const { observer, exchanges } = recordExchanges();
  const client = await world.join({ observers: [observer] });
  return { client, counts, exchanges };
}

/** Fails the first requests with a status, then answers with the body of the request. */
function failing(times: number, status = 503): RequestListener {
  let left = times;
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (left-- > 0) response.writeHead(status).end('not now');
      else response.end(`got ${Buffer.concat(chunks).toString('latin1').length}`);
    });
  };
}

function streamOf(chunks: number, size: number): ReadableStream<Uint8Array> {
  let left = chunks;
  return new ReadableStream({
    pull(controller) {
      if (left-- > 0) controller.enqueue(Buffer.alloc(size, 'x'));
      else controller.close();
    },
  });
}

const streamed = (body: ReadableStream<Uint8Array>) =>
  ({ method: 'POST', body, duplex: 'half' }) as RequestInit;

describe('retries', () => {
  test('a 503 is the caller’s unless somebody asked for retries', async () => {
    const { client, counts } = await scene('', failing(1));
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([503, 'not now']);
    expect(counts).toEqual(['1']);
  });

  test('retryOn 5xx retries until an answer is good; the server sees which attempt it is', async () => {
    const { client, counts, exchanges } = await scene(
      'retries: { attempts: 3, retryOn: 5xx, backoff: 2ms }',
      failing(2),
    );
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([200, 'got 0']);
    expect(counts).toEqual(['1', '2', '3']);
    expect(exchanges).toEqual([{ status: 200, flags: '', attempts: 3 }]);
    expect(client.metrics()).toMatch(/envoy_cluster_upstream_rq_total\{[^}]*echo[^}]*\} 3/);
  });

  test('the last failure goes to the caller, with flag URX, when no attempt is left', async () => {
    const { client, counts, exchanges } = await scene(
      'retries: { attempts: 2, retryOn: "gateway-error", backoff: 2ms }',
      failing(9),
    );
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([503, 'not now']);
    expect(counts).toEqual(['1', '2', '3']);
    expect(exchanges).toEqual([{ status: 503, flags: 'URX', attempts: 3 }]);
  });

  test('a number among the conditions is a status to retry on', async () => {
    const { client, counts } = await scene(
      'retries: { attempts: 1, retryOn: "418", backoff: 2ms }',
      failing(1, 418),
    );
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([200, 'got 0']);
    expect(counts).toEqual(['1', '2']);
  });

  test('a connection that breaks before the answer is retried on 5xx', async () => {
    let first = true;
    const { client, counts } = await scene(
      'retries: { attempts: 1, retryOn: 5xx, backoff: 2ms }',
      (request, response) => {
        if (first) request.socket.destroy();
        else response.end('second');
        first = false;
      },
    );
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([200, 'second']);
    expect(counts).toEqual(['1', '2']);
  });
});

describe('bodies and retries', () => {
  const RETRY = 'retries: { attempts: 2, retryOn: 5xx, backoff: 2ms }';

  test('a streamed body within the limit is sent again whole', async () => {
    const { client, counts } = await scene(RETRY, failing(1));
    expect(await answerOf(client.fetch('http://echo/', streamed(streamOf(8, 64 * 1024))))).toEqual([
      200,
      `got ${8 * 64 * 1024}`,
    ]);
    expect(counts).toEqual(['1', '2']);
  });

  test('a streamed body above the limit is sent once', async () => {
    const { client, counts } = await scene(RETRY, failing(1));
    expect(await answerOf(client.fetch('http://echo/', streamed(streamOf(24, 64 * 1024))))).toEqual([
      503,
      'not now',
    ]);
    expect(counts).toEqual(['1']);
  });

  test('text is sent again', async () => {
    const { client, counts } = await scene(RETRY, failing(1));
    expect(await answerOf(client.fetch('http://echo/', { method: 'POST', body: 'hello' }))).toEqual([
      200,
      'got 5',
    ]);
    expect(counts).toEqual(['1', '2']);
  });

  test('a POST whose connection broke is not sent again by default', async () => {
    const { client, counts, exchanges } = await scene('', (request) => {
      request.once('data', () => request.socket.destroy());
    });
    const failure = await client
      .fetch('http://echo/', { method: 'POST', body: 'pay 5' })
      .catch((error) => error);
    expect(failure).toBeInstanceOf(TypeError);
    expect(failure.cause.cause.code).toBe('INMESH_UPSTREAM_RESET');
    expect(counts).toEqual(['1']);
    expect(exchanges).toEqual([{ status: 0, flags: 'UC', attempts: 1 }]);
  });
});

describe('timeouts', () => {
  const never: RequestListener = () => {};

  test('the route’s timeout answers 504 and says why', async () => {
    const { client, counts, exchanges } = await scene('timeout: 100ms', never);
    const response = await client.fetch('http://echo/');
    expect([response.status, await response.text()]).toEqual([504, 'upstream request timeout']);
    expect(response.headers.get('x-inmesh-reason')).toBe('INMESH_TIMEOUT');
    expect(counts).toEqual(['1']);
    expect(exchanges).toEqual([{ status: 504, flags: 'UT', attempts: 1 }]);
  });

  test('a try that takes too long is given up; the last one answers 504', async () => {
    const { client, counts, exchanges } = await scene(
      'retries: { attempts: 2, perTryTimeout: 300ms, retryOn: 5xx, backoff: 2ms }',
      never,
    );
    const response = await client.fetch('http://echo/');
    expect([response.status, response.headers.get('x-inmesh-reason')]).toEqual([504, 'INMESH_TIMEOUT']);
    expect(counts).toEqual(['1', '2', '3']);
    expect(exchanges).toEqual([{ status: 504, flags: 'URX,UT', attempts: 3 }]);
  });

  test('the route’s timeout covers all attempts', async () => {
    const { client, counts } = await scene(
      'timeout: 1250ms\nretries: { attempts: 20, perTryTimeout: 500ms, retryOn: 5xx, backoff: 2ms }',
      never,
    );
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([504, 'upstream request timeout']);
    expect(counts.length).toBeGreaterThanOrEqual(2);
    expect(counts.length).toBeLessThanOrEqual(3);
  });

  test('an answer that began breaks off when the route’s timeout comes', async () => {
    const { client } = await scene('timeout: 150ms', (_request, response) => void response.write('half'));
    const response = await client.fetch('http://echo/');
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toBeInstanceOf(Error);
  });

  test('a POST that no connection takes in time gets its timeout, too', async () => {
    world = await World.start(
      istio(
        'VirtualService',
        'echo',
        `hosts: [echo]
http:
  - match: [{ uri: { exact: /slow } }]
    route: [{ destination: { host: echo } }]
  - timeout: 100ms
    route: [{ destination: { host: echo } }]`,
      ) +
        istio(
          'DestinationRule',
          'echo',
          'host: echo\ntrafficPolicy: { connectionPool: { tcp: { maxConnections: 1 } } }',
        ),
    );
    const waiting: (() => void)[] = [];
    await world.serve(
      { service: 'echo' },
      (_request, response) => void waiting.push(() => response.end('slow')),
    );
    const client = await world.join();
    const slow = answerOf(client.fetch('http://echo/slow'));
    expect(await answerOf(client.fetch('http://echo/', { method: 'POST', body: 'hello' }))).toEqual([
      504,
      'upstream request timeout',
    ]);
    for (const end of waiting) end();
    expect(await slow).toEqual([200, 'slow']);
  });
});
