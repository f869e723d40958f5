import { describe, expect, test } from 'vitest';
import { createCluster } from '../../../src/cluster/cluster.js';
import { type AttemptOptions, attempt } from '../../../src/mesh/upstream.js';
import { DEFAULT_THRESHOLDS } from '../../../src/model/cluster.js';
import type { DropOverload } from '../../../src/model/endpoint.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { Completion } from '../../../src/service/completion.js';
import type { Attempt } from '../../../src/service/context.js';
import type { Request, Service } from '../../../src/service/service.js';
import { NO_LIMITS, type TimeLimits } from '../../../src/service/time-limits.js';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.js';
import { createMemoryNetwork, type MemoryNetwork } from '../../../src/testing/memory-transport.js';
import { cluster, endpoint } from '../../integration/support/static-mesh.js';
import { makeRequest } from '../filters/support.js';

interface Scene {
  readonly clock: FakeClock;
  readonly network: MemoryNetwork;
  readonly service: Service;
  readonly attempts: Attempt[];
  /** Permits in use. */
  readonly active: () => number;
}

function scene(
  options: Partial<AttemptOptions> = {},
  maxRequests = 1,
  dropOverloads: readonly DropOverload[] = [],
): Scene {
  const clock = createFakeClock();
  const network = createMemoryNetwork();
  const attempts: Attempt[] = [];
  const observer = { attempt: (_request: unknown, one: Attempt) => attempts.push(one) };
  const resolved = cluster('v1', [endpoint(1)], {
    circuitBreakers: { default: { ...DEFAULT_THRESHOLDS, maxRequests }, high: DEFAULT_THRESHOLDS },
  });
  const { assignment } = resolved;
  const runtime = createCluster(
    { ...resolved, assignment: assignment && { ...assignment, dropOverloads } },
    { clock, random: seededRandom(1), transport: network.transport, observer, logger: silentLogger },
  );
  const service = attempt(
    runtime,
    {
      priority: 'default',
      avoidPreviousHosts: false,
      hostSelectionAttempts: 1,
      sendAttemptCount: false,
      ...options,
    },
    { clock, observer },
  );
  return { clock, network, service, attempts, active: () => runtime.breakers.default.requests.active };
}

/** A request whose attempts have limits. */
function limited(limits: Partial<TimeLimits>): Request {
  const request = makeRequest();
  request.context.limits = { ...NO_LIMITS, ...limits };
  return request;
}

describe('an attempt', () => {
  test('holds its permit until the trailers settle, not until the head came', async () => {
    const { network, service, active } = scene();
    const completion = new Completion();
    network.serve('127.0.0.1:1', { status: 200, completion });
    await service(makeRequest());
    expect(active()).toBe(1);
    const refused = await service(makeRequest());
    expect([refused.status, refused.local?.reason]).toEqual([503, 'INMESH_OVERFLOW']);
    completion.settle();
    expect(active()).toBe(0);
    expect((await service(makeRequest())).status).toBe(200);
  });

  test('gives its permit back when it fails', async () => {
    const { network, service, active } = scene();
    network.serve('127.0.0.1:1', { failure: 'reset' });
    await expect(service(makeRequest())).rejects.toMatchObject({ failure: 'reset' });
    expect(active()).toBe(0);
  });

  test.each([
    ['connect', 'UF'],
    ['reset', 'UC'],
    ['refused', 'UR'],
    ['protocol', 'UPE'],
  ] as const)('a failure of kind %s sets flag %s', async (failure, flag) => {
    const { network, service } = scene();
    network.serve('127.0.0.1:1', { failure });
    const request = makeRequest();
    await expect(service(request)).rejects.toMatchObject({ failure });
    expect(request.context.flags).toEqual([flag]);
  });

  test('overflow has Envoy’s words, header and flag, and is no attempt', async () => {
    const { service, network, attempts } = scene({}, 0);
    const request = makeRequest();
    const response = await service(request);
    expect([response.status, response.headers.get('x-envoy-overloaded'), response.local?.details]).toEqual([
      503,
      'true',
      'upstream_reset_before_response_started{overflow}',
    ]);
    expect([request.context.flags, request.context.attemptCount]).toEqual([['UO'], 0]);
    expect([network.attempts.length, attempts.length]).toEqual([0, 0]);
  });

  test('what the control plane drops gets no attempt, and Envoy’s words, header and flag', async () => {
    const answers = [];
    for (const [numerator, seen] of [
      [100, 'all'],
      [50, 'some'],
    ] as const) {
      const { network, service, attempts } = scene({}, 1, [
        { category: 'x', percentage: { numerator, denominator: 100 } },
      ]);
      network.serve('127.0.0.1:1', { status: 200 });
      let response = await service(makeRequest());
      for (let i = 0; i < 20 && response.status === 200; i++) response = await service(makeRequest());
      const [reply] = [response.local];
      answers.push([
        seen,
        response.status,
        reply?.reason,
        reply?.details,
        [...response.headers].map(([name]) => name),
      ]);
      if (seen === 'all') expect(attempts).toEqual([]);
    }
    expect(answers).toEqual([
      [
        'all',
        503,
        'INMESH_DROP_OVERLOAD',
        'unconditional_drop_overload',
        expect.arrayContaining(['x-envoy-unconditional-drop-overload']),
      ],
      [
        'some',
        503,
        'INMESH_DROP_OVERLOAD',
        'drop_overload',
        expect.arrayContaining(['x-envoy-drop-overload']),
      ],
    ]);
  });

  test('the per-try timeout fails the attempt, aborts it below, and frees its permit', async () => {
    const { clock, network, service, active } = scene();
    network.serve('127.0.0.1:1', () => new Promise(() => {}));
    const outcome = service(limited({ perTryMs: 100 })).catch((error: unknown) => error);
    await clock.advance(100);
    expect(await outcome).toMatchObject({ failure: 'per-try-timeout' });
    expect(network.attempts[0]?.request.abort.aborted).toBe(true);
    expect([active(), clock.pending]).toEqual([0, 0]);
  });

  test('an answer within the per-try timeout stops the timer; the caller’s abort still reaches it', async () => {
    const { clock, network, service } = scene();
    network.serve('127.0.0.1:1', { status: 200, completion: new Completion() });
    const request = limited({ perTryMs: 100 });
    await service(request);
    expect(clock.pending).toBe(0);
    request.abort.abort('bye');
    expect(network.attempts[0]?.request.abort.reason).toBe('bye');
  });

  test('numbers itself for the server when asked to', async () => {
    const { network, service } = scene({ sendAttemptCount: true });
    network.serve('127.0.0.1:1', { status: 200 });
    const request = makeRequest();
    await service(request);
    await service(request);
    expect(network.attempts.at(-1)?.request.headers.getAll('x-envoy-attempt-count')).toEqual(['2']);
  });

  test('the observer hears host, status and duration, or the failure', async () => {
    const { clock, network, service, attempts } = scene();
    network.serve('127.0.0.1:1', async () => {
      await clock.advance(40);
      return { status: 201 };
    });
    await service(makeRequest());
    network.serve('127.0.0.1:1', { failure: 'connect' });
    await expect(service(makeRequest())).rejects.toBeInstanceOf(Error);
    expect(attempts).toMatchObject([
      { number: 1, host: '127.0.0.1:1', status: 201, error: undefined, durationMs: 40 },
      { number: 1, host: '127.0.0.1:1', status: undefined, error: { failure: 'connect' } },
    ]);
  });
});
