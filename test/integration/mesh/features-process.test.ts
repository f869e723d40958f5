import type { RequestListener } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import type { AppliedEvent, Attempt, Filter, Mesh, Observer, Request } from '../../../src/index.js';
import { answerOf, bodiesOf, istio, service, World } from './features-world.js';
import { eventually } from './support.js';

let world: World;

afterEach(() => world.close());

/** A VirtualService that answers `/probe` itself, to see when it is in force. */
const marked = (word: string) =>
  istio(
    'VirtualService',
    'echo',
    `hosts: [echo]
http:
  - match: [{ uri: { exact: /probe } }]
    directResponse: { status: 200, body: { string: ${word} } }
  - route: [{ destination: { host: echo } }]`,
  );

async function inForce(client: Mesh, word: string): Promise<void> {
  await eventually(`${word} is in force`, async () => {
    const [, body] = await answerOf(client.fetch('http://echo/probe'));
    return body === word;
  });
}

describe('the failure-rate breaker', () => {
  test('opens, answers by itself, survives a push, and a probe closes it', async () => {
    world = await World.start(service('echo'));
    let status = 500;
    let served = 0;
    await world.serve({ service: 'echo' }, (_request, response) => {
      served++;
      response.writeHead(status).end('echo');
    });
    const states: string[] = [];
    const client = await world.join({
      failureRateBreakers: {
        echo: {
          minimumRequests: 5,
          resetTimeoutMs: 3_000,
          onStateChange: (state, cluster) => states.push(`${state} ${cluster}`),
        },
      },
    });
    await bodiesOf(client, 'http://echo/', 5);
    expect(states).toEqual(['open outbound|80||echo.default.svc.cluster.local']);
    const refused = await client.fetch('http://echo/');
    expect([refused.status, refused.headers.get('x-inmesh-reason')]).toEqual([
      503,
      'INMESH_FAILURE_RATE_OPEN',
    ]);
    expect(served).toBe(5);
    world.configure(service('echo') + marked('pushed'));
    await inForce(client, 'pushed');
    expect((await client.fetch('http://echo/')).headers.get('x-inmesh-reason')).toBe(
      'INMESH_FAILURE_RATE_OPEN',
    );
    expect(served).toBe(5);
    status = 200;
    await eventually('it is half open', () => states.length === 2);
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([200, 'echo']);
    expect(states.map((state) => state.split(' ')[0])).toEqual(['open', 'halfOpen', 'close']);
  });

  test('a fallback answers while it is open', async () => {
    world = await World.start('');
    await world.serve({ service: 'echo' }, (_request, response) => response.writeHead(500).end('broken'));
    let last: Awaited<ReturnType<Filter>> | undefined;
    const keep: Filter = async (request, next) => {
      const response = await next(request);
      last ??= response;
      return response;
    };
    const client = await world.join({
      filters: [keep],
      failureRateBreakers: {
        '*': {
          minimumRequests: 2,
          fallback: () => {
            if (last === undefined) throw new Error('nothing was answered yet');
            last.headers.delete('content-length');
            return { ...last, status: 203, body: { kind: 'bytes', bytes: 'from memory' } };
          },
        },
      },
    });
    await bodiesOf(client, 'http://echo/', 2);
    const [status, body] = await answerOf(client.fetch('http://echo/'));
    expect(status).toBe(203);
    expect(body).toBe('from memory');
  });
});

describe('metrics', () => {
  const labelsOf = (text: string, reporter: string) => {
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith(`istio_requests_total{reporter="${reporter}"`));
    return lines.map((line) => {
      const labels = Object.fromEntries(
        [...line.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
      );
      return { ...labels, count: Number(line.split(' ').at(-1)) };
    });
  };

  test('client and server count what they saw, with Istio’s labels', async () => {
    world = await World.start('');
    const { mesh, port } = await world.serve({ service: 'echo', version: 'v7' }, (request, response) =>
      response.writeHead(request.url === '/bad' ? 500 : 200).end(),
    );
    const client = await world.join({ service: 'web', version: 'v2', serviceAccount: 'web' });
    for (const path of ['/', '/', '/bad']) await answerOf(client.fetch(`http://echo${path}`));
    const id = (account: string) => `spiffe://cluster.local/ns/default/sa/${account}`;
    const source = {
      reporter: 'source',
      source_workload: 'web',
      source_workload_namespace: 'default',
      source_version: 'v2',
      source_principal: id('web'),
      destination_service: 'echo.default.svc.cluster.local',
      destination_service_name: 'echo',
      destination_service_namespace: 'default',
      destination_principal: id('default'),
      request_protocol: 'http',
      response_flags: '-',
    };
    expect(labelsOf(client.metrics(), 'source')).toMatchObject([
      { ...source, response_code: '200', count: 2 },
      { ...source, response_code: '500', count: 1 },
    ]);
    await eventually('the server counted them', () => labelsOf(mesh.metrics(), 'destination').length === 2);
    const destination = {
      reporter: 'destination',
      source_principal: id('web'),
      destination_principal: id('default'),
      connection_security_policy: 'mutual_tls',
    };
    expect(labelsOf(mesh.metrics(), 'destination')).toMatchObject([
      { ...destination, response_code: '200', count: 2 },
      { ...destination, response_code: '500', count: 1 },
    ]);
    await (await fetch(`http://127.0.0.1:${port}/`)).text();
    await eventually(
      'plaintext is counted apart',
      () => labelsOf(mesh.metrics(), 'destination').length === 3,
    );
    expect(labelsOf(mesh.metrics(), 'destination').at(-1)).toMatchObject({
      connection_security_policy: 'none',
      source_principal: 'unknown',
      count: 1,
    });
  });

  test('a local reply is counted with its flag', async () => {
    world = await World.start(service('echo'));
    const client = await world.join();
    await answerOf(client.fetch('http://echo/'));
    expect(labelsOf(client.metrics(), 'source')).toMatchObject([
      { response_code: '503', response_flags: 'UH', destination_service_name: 'echo', count: 1 },
    ]);
  });
});

describe('close', () => {
  /** Answers when the test says so. */
  function slow(): { handler: RequestListener; waiting: (() => void)[] } {
    const waiting: (() => void)[] = [];
    return { waiting, handler: (_request, response) => void waiting.push(() => response.end('done')) };
  }

  test('a server finishes what runs before it leaves, and takes nothing new', async () => {
    world = await World.start('');
    const { handler, waiting } = slow();
    const member = await world.serve({ service: 'echo' }, handler);
    const client = await world.join();
    const running = answerOf(client.fetch('http://echo/'));
    await eventually('it runs', () => waiting.length === 1);
    let isClosed = false;
    const closing = member.mesh.close().then(() => {
      isClosed = true;
    });
    await eventually('it is deregistered', () => world.plane.status().workloads === 0);
    await eventually('the port is closed', () => !member.server.listening);
    expect(isClosed).toBe(false);
    for (const end of waiting) end();
    expect(await running).toEqual([200, 'done']);
    await closing;
    expect(member.server.listening).toBe(false);
  });

  test('a client finishes what runs before it leaves; closing again is the same', async () => {
    world = await World.start('');
    const { handler, waiting } = slow();
    await world.serve({ service: 'echo' }, handler);
    const client = await world.join();
    const running = answerOf(client.fetch('http://echo/'));
    await eventually('it runs', () => waiting.length === 1);
    const closing = client.close();
    const again = client.close();
    for (const end of waiting) end();
    expect(await running).toEqual([200, 'done']);
    await Promise.all([closing, again]);
    await client.close();
    await expect(client.fetch('http://echo/')).rejects.toMatchObject({ cause: { code: 'INMESH_CLOSED' } });
    expect(waiting).toHaveLength(1);
    await eventually('the control plane knows', () =>
      world.plane.status().clients.every(({ service: name }) => name !== 'client'),
    );
  });

  test('await using closes', async () => {
    world = await World.start('');
    let left: Mesh;
    {
      await using mesh = await world.join();
      left = mesh;
      expect(left.status().controlPlane.state).toBe('connected');
    }
    expect(left.status().controlPlane.state).not.toBe('connected');
  });
});

describe('filters and observers of the application', () => {
  test('a filter sees every answer: the service’s, faults, direct responses, and what has no route', async () => {
    world = await World.start(
      istio(
        'VirtualService',
        'echo',
        `hosts: [echo]
http:
  - { match: [{ uri: { exact: /direct } }], directResponse: { status: 299 } }
  - match: [{ uri: { exact: /fault } }]
    fault: { abort: { httpStatus: 418, percentage: { value: 100 } } }
    route: [{ destination: { host: echo } }]
  - match: [{ uri: { prefix: /echo } }]
    route: [{ destination: { host: echo } }]`,
      ),
    );
    await world.serve({ service: 'echo' }, (request, response) =>
      response.end(String(request.headers['x-added'])),
    );
    const seen: string[] = [];
    const filter: Filter = async (request, next) => {
      request.headers.set('x-added', 'by a filter');
      const response = await next(request);
      seen.push(`${request.path} ${response.status} ${response.local?.reason ?? 'upstream'}`);
      response.headers.set('x-seen', 'yes');
      return response;
    };
    const client = await world.join({ filters: [filter] });
    const bodies: string[] = [];
    for (const path of ['/echo', '/direct', '/fault', '/nowhere']) {
      const response = await client.fetch(`http://echo${path}`);
      expect(response.headers.get('x-seen')).toBe('yes');
      bodies.push(await response.text());
    }
    expect(seen).toEqual([
      '/echo 200 upstream',
      '/direct 299 INMESH_DIRECT_RESPONSE',
      '/fault 418 INMESH_FAULT_INJECTED',
      '/nowhere 404 INMESH_NO_ROUTE',
    ]);
    expect(bodies[0]).toBe('by a filter');
  });

  test('the first filter is the outermost; what one throws is the caller’s error', async () => {
    world = await World.start('');
    await world.serve({ service: 'echo' }, (_request, response) => response.end('echo'));
    const order: string[] = [];
    const named =
      (name: string): Filter =>
      async (request, next) => {
        order.push(`${name} in`);
        const response = await next(request);
        order.push(`${name} out`);
        return response;
      };
    const failing: Filter = async (request, next) => {
      if (request.path === '/forbidden') throw new Error('not this one');
      return next(request);
    };
    const client = await world.join({ filters: [named('a'), named('b'), failing] });
    await answerOf(client.fetch('http://echo/'));
    expect(order).toEqual(['a in', 'b in', 'b out', 'a out']);
    await expect(client.fetch('http://echo/forbidden')).rejects.toMatchObject({
      cause: { message: 'not this one' },
    });
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([200, 'echo']);
  });

  test('an observer hears exchanges, attempts and applied configuration; one that throws harms nobody', async () => {
    world = await World.start(
      istio(
        'VirtualService',
        'echo',
        `hosts: [echo]
http: [{ retries: { attempts: 1, retryOn: 5xx, backoff: 1ms }, route: [{ destination: { host: echo } }] }]`,
      ),
    );
    let first = true;
    const { port } = await world.serve({ service: 'echo' }, (_request, response) => {
      response.writeHead(first ? 503 : 200).end('echo');
      first = false;
    });
    const attempts: [Attempt, string][] = [];
    const exchanges: { request: Request; status: number }[] = [];
    const applied: AppliedEvent[] = [];
    const thrower = () => {
      throw new Error('an observer’s own fault');
    };
    const observers: Observer[] = [
      { exchange: thrower, attempt: thrower, applied: thrower },
      {
        attempt: (_request, attempt, cluster) => attempts.push([attempt, cluster]),
        exchange: (request, { status }) => exchanges.push({ request, status }),
        applied: (event) => applied.push(event),
      },
    ];
    const client = await world.join({ observers });
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([200, 'echo']);
    const cluster = 'outbound|80||echo.default.svc.cluster.local';
    expect(attempts).toMatchObject([
      [{ number: 1, status: 503, host: `127.0.0.1:${port}` }, cluster],
      [{ number: 2, status: 200, host: `127.0.0.1:${port}` }, cluster],
    ]);
    expect(exchanges).toMatchObject([{ status: 200, request: { path: '/', authority: 'echo' } }]);
    expect(exchanges[0]?.request.context).toMatchObject({ clusterName: cluster, attemptCount: 2 });
    expect(applied.at(-1)).toMatchObject({ listeners: 1, clusters: 1, endpoints: 1, stale: false });
    const before = applied.length;
    world.configure(marked('new'));
    await inForce(client, 'new');
    expect(applied.length).toBeGreaterThan(before);
  });
});
