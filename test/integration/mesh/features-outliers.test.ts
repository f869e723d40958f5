import { afterEach, describe, expect, test } from 'vitest';
import type { EjectionEvent, Mesh } from '../../../src/index.js';
import { answerOf, bodiesOf, istio, World } from './features-world.js';
import { eventually } from './support.js';

let world: World;

afterEach(() => world.close());

interface Instances {
  readonly client: Mesh;
  readonly events: EjectionEvent[];
  /** Statuses that the instances answer with. */
  readonly statuses: number[];
  /** `address:port` of each. */
  readonly hosts: readonly string[];
}

async function instances(count: number, policy: string): Promise<Instances> {
  world = await World.start(
    istio('DestinationRule', 'echo', `host: echo\ntrafficPolicy:\n${policy.replace(/^/gm, '  ')}`),
  );
  const statuses: number[] = [];
  const hosts: string[] = [];
  for (let i = 0; i < count; i++) {
    statuses.push(200);
    const { port } = await world.serve({ service: 'echo', version: `v${i}` }, (_request, response) =>
      response.writeHead(statuses[i] ?? 200).end(String(i)),
    );
    hosts.push(`127.0.0.1:${port}`);
  }
  const events: EjectionEvent[] = [];
  const client = await world.join({ observers: [{ ejected: (event) => events.push(event) }] });
  return { client, events, statuses, hosts };
}

const ejections = (events: readonly EjectionEvent[]) =>
  events
    .filter(({ action }) => action === 'eject')
    .map(({ host, type, enforced }) => ({ host, type, enforced }));

describe('outlier detection', () => {
  test('counts the statuses that it is told as errors, and no others', async () => {
    const { client, events, statuses, hosts } = await instances(
      2,
      `loadBalancer: { simple: ROUND_ROBIN }
outlierDetection: { consecutive5xxErrors: 3, interval: 50ms, baseEjectionTime: 60s, maxEjectionPercent: 100, outlierDetectionHttpErrorCodes: [429] }`,
    );
    statuses[0] = 503;
    await bodiesOf(client, 'http://echo/', 10);
    expect(ejections(events)).toEqual([]);
    statuses[0] = 200;
    statuses[1] = 429;
    await bodiesOf(client, 'http://echo/', 6);
    expect(ejections(events)).toEqual([{ host: hosts[1], type: 'Consecutive5xx', enforced: true }]);
  });

  test('a host that fails in a row is out for baseEjectionTime, then comes back', async () => {
    const { client, events, statuses, hosts } = await instances(
      2,
      `loadBalancer: { simple: ROUND_ROBIN }
outlierDetection: { consecutive5xxErrors: 3, interval: 50ms, baseEjectionTime: 1500ms, maxEjectionPercent: 100 }`,
    );
    statuses[1] = 500;
    expect(await bodiesOf(client, 'http://echo/', 6)).toEqual(
      new Map([
        ['0', 3],
        ['1', 3],
      ]),
    );
    expect(ejections(events)).toEqual([{ host: hosts[1], type: 'Consecutive5xx', enforced: true }]);
    expect(events[0]?.cluster).toBe('outbound|80||echo.default.svc.cluster.local');
    expect(
      client
        .status()
        .clusters[0]?.hosts.map(({ ejected }) => ejected)
        .sort(),
    ).toEqual([false, true]);

    expect(await bodiesOf(client, 'http://echo/', 6)).toEqual(new Map([['0', 6]]));
    statuses[1] = 200;
    await eventually('the host is back', () => events.some(({ action }) => action === 'uneject'));
    expect(events.at(-1)).toMatchObject({ action: 'uneject', host: hosts[1] });
    expect(await bodiesOf(client, 'http://echo/', 6)).toEqual(
      new Map([
        ['0', 3],
        ['1', 3],
      ]),
    );
  });

  test('a good answer starts the count anew', async () => {
    const { client, events, statuses } = await instances(
      1,
      'outlierDetection: { consecutive5xxErrors: 3, baseEjectionTime: 1s, maxEjectionPercent: 100 }',
    );
    for (const status of [500, 502, 200, 500, 500]) {
      statuses[0] = status;
      await answerOf(client.fetch('http://echo/'));
    }
    expect(events).toEqual([]);
  });

  test('maxEjectionPercent keeps the others in, however badly they do', async () => {
    const { client, events, statuses } = await instances(
      4,
      `loadBalancer: { simple: ROUND_ROBIN }
outlierDetection: { consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 60s, maxEjectionPercent: 50 }`,
    );
    statuses.fill(500);
    const bodies = await bodiesOf(client, 'http://echo/', 40);
    expect(ejections(events).filter(({ enforced }) => enforced)).toHaveLength(2);
    expect([...bodies.values()].filter((count) => count > 5)).toHaveLength(2);
  });

  test('maxEjectionPercent: 0 ejects nobody', async () => {
    const { client, events, statuses } = await instances(
      2,
      'outlierDetection: { consecutive5xxErrors: 1, baseEjectionTime: 60s, maxEjectionPercent: 0 }',
    );
    statuses.fill(500);
    await bodiesOf(client, 'http://echo/', 10);
    expect(ejections(events).filter(({ enforced }) => enforced)).toEqual([]);
    expect(client.status().clusters[0]?.hosts.every(({ ejected }) => !ejected)).toBe(true);
  });

  test('all hosts out: 503, no healthy upstream', async () => {
    const { client, statuses } = await instances(
      1,
      'outlierDetection: { consecutive5xxErrors: 2, interval: 1s, baseEjectionTime: 60s, maxEjectionPercent: 100 }',
    );
    statuses[0] = 500;
    await bodiesOf(client, 'http://echo/', 2);
    const response = await client.fetch('http://echo/');
    expect([response.status, await response.text()]).toEqual([503, 'no healthy upstream']);
    expect(response.headers.get('x-inmesh-reason')).toBe('INMESH_NO_HEALTHY_UPSTREAM');
  });

  test('a host stays out when unrelated configuration changes', async () => {
    const policy =
      'outlierDetection: { consecutive5xxErrors: 2, interval: 1s, baseEjectionTime: 60s, maxEjectionPercent: 100 }';
    const { client, statuses } = await instances(2, `loadBalancer: { simple: ROUND_ROBIN }\n${policy}`);
    statuses[0] = 500;
    await bodiesOf(client, 'http://echo/', 4);
    expect(await bodiesOf(client, 'http://echo/', 4)).toEqual(new Map([['1', 4]]));
    world.configure(
      istio(
        'DestinationRule',
        'echo',
        `host: echo\ntrafficPolicy:\n  loadBalancer: { simple: ROUND_ROBIN }\n  ${policy}`,
      ) +
        istio(
          'VirtualService',
          'echo',
          `hosts: [echo]
http:
  - match: [{ uri: { exact: /new } }]
    directResponse: { status: 200, body: { string: new } }
  - route: [{ destination: { host: echo } }]`,
        ),
    );
    await eventually('the change is in force', async () => {
      const [, body] = await answerOf(client.fetch('http://echo/new'));
      return body === 'new';
    });
    expect(await bodiesOf(client, 'http://echo/', 4)).toEqual(new Map([['1', 4]]));
  });

  test('connections that fail count as local origin failures', async () => {
    world = await World.start(
      istio(
        'ServiceEntry',
        'echo',
        `hosts: [echo.example.com]
ports: [{ number: 80, name: http, protocol: HTTP }]
resolution: STATIC
endpoints: [{ address: 127.0.0.1, ports: { http: 1 } }]`,
      ) +
        istio(
          'DestinationRule',
          'echo',
          `host: echo.example.com
trafficPolicy:
  outlierDetection:
    splitExternalLocalOriginErrors: true
    consecutiveLocalOriginFailures: 3
    interval: 1s
    baseEjectionTime: 60s
    maxEjectionPercent: 100`,
        ),
    );
    const events: EjectionEvent[] = [];
    const client = await world.join({ observers: [{ ejected: (event) => events.push(event) }] });
    await client.fetch('http://echo.example.com/').catch(() => {});
    expect(ejections(events)).toEqual([
      { host: '127.0.0.1:1', type: 'ConsecutiveLocalOriginFailure', enforced: true },
    ]);
  });
});
