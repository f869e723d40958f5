import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { createTestCa } from '../../../src/testing.js';
import { answerOf, bodiesOf, istio, recordExchanges, service, stop, World } from './features-world.js';
import { eventually, TemporaryFolder } from './support.js';

const run = promisify(execFile);

let world: World;

afterEach(() => world.close());

const entry = (host: string, fields: string) =>
  istio('ServiceEntry', host.replaceAll('.', '-'), `hosts: [${host}]\n${fields}`);

describe('ServiceEntry', () => {
  test('STATIC endpoints outside of the mesh get plain HTTP, in turn', async () => {
    world = await World.start('');
    const ports: number[] = [];
    for (const name of ['a', 'b']) {
      const { port } = await world.serveOutside((request, response) =>
        response.end(`${name} ${request.headers.host}`),
      );
      ports.push(port);
    }
    world.configure(
      entry(
        'legacy.example.com',
        `ports: [{ number: 80, name: http, protocol: HTTP }]
resolution: STATIC
endpoints:
  - { address: 127.0.0.1, ports: { http: ${ports[0]} } }
  - { address: 127.0.0.1, ports: { http: ${ports[1]} } }`,
      ) +
        istio(
          'DestinationRule',
          'legacy',
          'host: legacy.example.com\ntrafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }',
        ),
    );
    const client = await world.join();
    expect(await bodiesOf(client, 'http://legacy.example.com/', 4)).toEqual(
      new Map([
        ['a legacy.example.com', 2],
        ['b legacy.example.com', 2],
      ]),
    );
  });

  test('DNS: the name of an endpoint is looked up; policies hold for it as for any other', async () => {
    world = await World.start('');
    let seen = 0;
    const { port } = await world.serveOutside((_request, response) =>
      seen++ === 0 ? response.writeHead(503).end() : response.end('from outside'),
    );
    world.configure(
      entry(
        'dns.example.com',
        `ports: [{ number: 80, name: http, protocol: HTTP }]
resolution: DNS
endpoints: [{ address: localhost, ports: { http: ${port} } }]`,
      ) +
        istio(
          'VirtualService',
          'dns',
          `hosts: [dns.example.com]
http: [{ retries: { attempts: 2, retryOn: 5xx, backoff: 1ms }, route: [{ destination: { host: dns.example.com } }] }]`,
        ),
    );
    const client = await world.join();
    expect(await answerOf(client.fetch('http://dns.example.com/'))).toEqual([200, 'from outside']);
    expect(seen).toBe(2);
  });

  test('a name that has no address: no healthy upstream', async () => {
    world = await World.start(
      entry(
        'gone.example.com',
        `ports: [{ number: 80, name: http, protocol: HTTP }]
resolution: DNS
endpoints: [{ address: does-not-exist.invalid }]`,
      ),
    );
    const { observer, exchanges } = recordExchanges();
    const client = await world.join({ observers: [observer] });
    expect(await answerOf(client.fetch('http://gone.example.com/'))).toEqual([503, 'no healthy upstream']);
    expect(exchanges).toEqual([{ status: 503, flags: 'UH', attempts: 0 }]);
  });

  test('TLS origination: the client trusts the platform’s roots and the certificate’s name is checked', async () => {
    const folder = new TemporaryFolder();
    const ca = await createTestCa();
    world = await World.start('');
    world.onClose(async () => folder.remove());
    const { pem, privateKey } = ca.certificate('default', { names: { dnsNames: ['secure.example.com'] } });
    const server = createHttpsServer(
      { cert: pem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) },
      (request, response) => {
        // A TLS server's socket has this property.
        const { servername } = request.socket as unknown as { servername: string };
        response.end(`${servername} ${request.headers.host}`);
      },
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    world.onClose(() => stop(server));
    const { port } = server.address() as AddressInfo;
    const tlsEntry = (host: string) =>
      entry(
        host,
        `ports: [{ number: 80, name: http, protocol: HTTP, targetPort: ${port} }]
resolution: STATIC
endpoints: [{ address: 127.0.0.1 }]`,
      ) +
      istio(
        'DestinationRule',
        host.replaceAll('.', '-'),
        `host: ${host}\ntrafficPolicy: { tls: { mode: SIMPLE } }`,
      );
    world.configure(tlsEntry('secure.example.com') + tlsEntry('wrong.example.com'));
    const roots = folder.write('roots.pem', ca.bundle.authorities.join('\n'));
    const ask = (host: string, extra: Record<string, string>) =>
      fetchInProcess(world.plane.addresses.xds, `http://${host}/`, extra);
    const trusting = { NODE_EXTRA_CA_CERTS: roots };
    expect(await ask('secure.example.com', trusting)).toBe('200 secure.example.com secure.example.com');
    expect(await ask('wrong.example.com', trusting)).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(await ask('secure.example.com', {})).toMatch(
      /^(UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|SELF_SIGNED)/,
    );
  });

  test('workloadSelector and a Service’s selector choose WorkloadEntries', async () => {
    world = await World.start('');
    const { port } = await world.serveOutside((_request, response) => response.end('vm'));
    world.configure(
      istio('WorkloadEntry', 'vm', `address: 127.0.0.1\nports: { http: ${port} }\nlabels: { app: vm }`) +
        service('vm') +
        entry(
          'vm.example.com',
          `ports: [{ number: 80, name: http, protocol: HTTP }]
location: MESH_INTERNAL
resolution: STATIC
workloadSelector: { labels: { app: vm } }`,
        ),
    );
    const client = await world.join();
    expect(await answerOf(client.fetch('http://vm/'))).toEqual([200, 'vm']);
    expect(await answerOf(client.fetch('http://vm.example.com/'))).toEqual([200, 'vm']);
  });
});

describe('registration by HTTP', () => {
  const json = { 'content-type': 'application/json' };
  const post = (id: string, port: number, ttlMs: number) =>
    fetch(`http://${world.plane.addresses.http}/api/workloads`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ id, service: 'legacy', address: '127.0.0.1', port, ttlMs }),
    });

  async function twoServers(): Promise<readonly [number, number]> {
    world = await World.start(
      service('legacy') +
        istio(
          'DestinationRule',
          'legacy',
          'host: legacy\ntrafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }',
        ),
    );
    const a = await world.serveOutside((_request, response) => response.end('a'));
    const b = await world.serveOutside((_request, response) => response.end('b'));
    return [a.port, b.port];
  }

  test('a workload that is posted gets traffic until its TTL ends; posting again prolongs it', async () => {
    const [a, b] = await twoServers();
    expect((await post('a', a, 1_000)).status).toBe(200);
    expect((await post('b', b, 1_000)).status).toBe(200);
    const client = await world.join();
    const who = async () => [...(await bodiesOf(client, 'http://legacy/', 4)).keys()].sort().join();
    expect(await who()).toBe('a,b');
    await eventually('a is gone', async () => {
      await post('b', b, 1_000);
      return (await who()) === 'b';
    });
  });

  test('a workload that is deleted is gone at once, and can come back', async () => {
    const [a, b] = await twoServers();
    await post('a', a, 60_000);
    await post('b', b, 60_000);
    const client = await world.join();
    const are = (wanted: string) => async () =>
      [...(await bodiesOf(client, 'http://legacy/', 4)).keys()].sort().join() === wanted;
    expect(await are('a,b')()).toBe(true);
    const url = `http://${world.plane.addresses.http}/api/workloads/a`;
    expect((await fetch(url, { method: 'DELETE', headers: json })).status).toBe(200);
    await eventually('a is gone', are('b'));
    await post('a', a, 60_000);
    await eventually('a is back', are('a,b'));
  });

  test('the last endpoint of a service stays in use when it vanishes', async () => {
    const [a] = await twoServers();
    await post('a', a, 60_000);
    const client = await world.join();
    expect(await answerOf(client.fetch('http://legacy/'))).toEqual([200, 'a']);
    const synced = () => world.plane.status().clients[0]?.types.find(({ type }) => type === 'EDS')?.accepted;
    const before = synced();
    const url = `http://${world.plane.addresses.http}/api/workloads/a`;
    await fetch(url, { method: 'DELETE', headers: json });
    await eventually('the client has heard of it', () => synced() !== before);
    expect(await answerOf(client.fetch('http://legacy/'))).toEqual([200, 'a']);
  });
});

/** Fetches in a process of its own, which has to end by itself; gives what came, or the code of the failure. */
async function fetchInProcess(
  controlPlane: string,
  url: string,
  env: Record<string, string>,
): Promise<string> {
  const script = `
    import { createMesh } from ${JSON.stringify(fileURLToPath(new URL('../../../dist/index.js', import.meta.url)))};
    const mesh = await createMesh({ service: 'client', cacheDir: false, controlPlane: ${JSON.stringify(controlPlane)} });
    try {
      const response = await mesh.fetch(${JSON.stringify(url)});
      console.log(response.status, await response.text());
    } catch (error) {
      console.log(error.cause.code);
    }`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
    env: { PATH: process.env['PATH'], ...env },
    timeout: 60_000,
  });
  return stdout.trim();
}
