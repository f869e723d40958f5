import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { MeshError } from '../../../src/index.js';
import { istio, World } from '../mesh/features-world.js';
import { eventually } from '../mesh/support.js';
import { echo, errorOf, outcomeOf, readAll, say, serveTcp, tcpEntry } from './support.js';

const HOST = 'cache.example.com';

let world: World;
afterEach(() => world.close());

const rule = (policy: string, rest = '') =>
  istio('DestinationRule', 'cache', `host: ${HOST}\ntrafficPolicy: ${policy}\n${rest}`);

describe('mesh.connect', () => {
  test('carries bytes both ways, and counts and logs them', async () => {
    world = await World.start('');
    const { port } = await serveTcp(world, echo);
    world.configure(tcpEntry(HOST, [port]));
    const lines: string[] = [];
    const format = '%UPSTREAM_CLUSTER% %UPSTREAM_HOST% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT%';
    const mesh = await world.join({ accessLog: { to: (line) => lines.push(line), format } });
    const socket = mesh.connect(HOST, 7000);
    expect(socket.connecting).toBe(true);
    socket.end('hello');
    expect((await readAll(socket)).toString()).toBe('hello');
    await eventually('the log line', () => lines.length > 0);
    expect(lines).toEqual([`outbound|7000||${HOST} 127.0.0.1:${port} - 5 5\n`]);
    const metrics = mesh.metrics();
    const labels = `\\{reporter="source",.*destination_service="${HOST}",.*request_protocol="tcp",response_flags="-",connection_security_policy="unknown"\\}`;
    expect(metrics).toMatch(new RegExp(`^istio_tcp_sent_bytes_total${labels} 5$`, 'm'));
    expect(metrics).toMatch(new RegExp(`^istio_tcp_received_bytes_total${labels} 5$`, 'm'));
    expect(metrics).toMatch(new RegExp(`^istio_tcp_connections_opened_total${labels} 1$`, 'm'));
    expect(metrics).toMatch(new RegExp(`^istio_tcp_connections_closed_total${labels} 1$`, 'm'));
  });

  test('spreads connections over weighted destinations', async () => {
    world = await World.start('');
    const [one, two] = [await serveTcp(world, say('v1')), await serveTcp(world, say('v2'))];
    world.configure(
      tcpEntry(HOST, [one.port, two.port]) +
        istio(
          'DestinationRule',
          'cache',
          `host: ${HOST}\nsubsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]`,
        ) +
        istio(
          'VirtualService',
          'cache',
          `hosts: [${HOST}]\ntcp: [{ route: [{ destination: { host: ${HOST}, subset: v1 }, weight: 80 }, { destination: { host: ${HOST}, subset: v2 }, weight: 20 }] }]`,
        ),
    );
    const mesh = await world.join({ random: sequence() });
    const counts: Record<string, number> = {};
    for (let i = 0; i < 50; i++) {
      const name = (await readAll(mesh.connect(HOST, 7000))).toString();
      counts[name] = (counts[name] ?? 0) + 1;
    }
    expect(counts['v1']).toBeGreaterThan(30);
    expect(counts['v2']).toBeGreaterThan(2);
  });

  test('takes the addresses of a service for it, networks included, the narrowest first', async () => {
    world = await World.start('');
    const [wide, narrow] = [await serveTcp(world, say('wide')), await serveTcp(world, say('narrow'))];
    const at = (addresses: string) => `resolution: STATIC\n  addresses: ${addresses}`;
    world.configure(
      tcpEntry('wide.example.com', [wide.port]).replace(
        'resolution: STATIC',
        at('[198.51.0.0/16, "2001:db8::/32"]'),
      ) +
        tcpEntry('narrow.example.com', [narrow.port])
          .replace('resolution: STATIC', at('[192.0.2.1, 192.0.2.2/32, 198.51.100.0/24]'))
          .replace('name: cache', 'name: narrow'),
    );
    const mesh = await world.join();
    const answers: Record<string, string> = {};
    for (const address of ['192.0.2.1', '192.0.2.2', '198.51.100.7', '198.51.7.7', '2001:db8::7'])
      answers[address] = (await readAll(mesh.connect(address, 7000))).toString();
    expect(answers).toEqual({
      '192.0.2.1': 'narrow',
      '192.0.2.2': 'narrow',
      '198.51.100.7': 'narrow',
      '198.51.7.7': 'wide',
      '2001:db8::7': 'wide',
    });
  });

  test('what can not be reached is an error with code, cause and flags', async () => {
    world = await World.start('');
    const gone = await serveTcp(world, echo);
    await gone.stop();
    world.configure(tcpEntry(HOST, [gone.port]));
    const mesh = await world.join();
    const error = await errorOf(mesh.connect(HOST, 7000));
    expect(error).toMatchObject({
      code: 'INMESH_UPSTREAM_CONNECT',
      flags: ['UF', 'URX'],
      cause: { code: 'ECONNREFUSED' },
    });
    expect(MeshError.is(error)).toBe(true);
    expect(mesh.metrics()).toMatch(/istio_tcp_connections_closed_total\{.*response_flags="UF,URX".*\} 1/);
  });

  test('a service without endpoints is UH', async () => {
    world = await World.start(tcpEntry(HOST, []));
    const mesh = await world.join();
    expect(await errorOf(mesh.connect(HOST, 7000))).toMatchObject({
      code: 'INMESH_NO_HEALTHY_UPSTREAM',
      flags: ['UH'],
    });
  });

  test('no more connections than maxConnections, and a closed one makes room', async () => {
    world = await World.start('');
    const { port } = await serveTcp(world, echo);
    world.configure(tcpEntry(HOST, [port]) + rule('{ connectionPool: { tcp: { maxConnections: 1 } } }'));
    const mesh = await world.join();
    const first = mesh.connect(HOST, 7000);
    await once(first, 'connect');
    expect(await errorOf(mesh.connect(HOST, 7000))).toMatchObject({ code: 'INMESH_OVERFLOW', flags: ['UO'] });
    first.destroy();
    await eventually('room for another', async () => {
      const next = mesh.connect(HOST, 7000);
      next.end('again');
      return (await outcomeOf(next)) === 'again';
    });
  });

  test('an endpoint that refuses connections is ejected', async () => {
    world = await World.start('');
    const [gone, there] = [await serveTcp(world, echo), await serveTcp(world, say('there'))];
    await gone.stop();
    const outliers = '{ consecutive5xxErrors: 1, maxEjectionPercent: 50, interval: 60s }';
    world.configure(
      tcpEntry(HOST, [gone.port, there.port]) +
        rule(`{ loadBalancer: { simple: ROUND_ROBIN }, outlierDetection: ${outliers} }`),
    );
    const mesh = await world.join();
    const outcomes: string[] = [];
    for (let i = 0; i < 8; i++) outcomes.push(await outcomeOf(mesh.connect(HOST, 7000)));
    expect(outcomes.filter((one) => one === 'INMESH_UPSTREAM_CONNECT')).toHaveLength(1);
    expect(outcomes.filter((one) => one === 'there')).toHaveLength(7);
  });

  test('half-closed connections go on in the other direction', async () => {
    world = await World.start('');
    const { port } = await serveTcp(world, (socket) => {
      void readAll(socket).then((sent) => socket.end(`got ${sent.length}`));
    });
    world.configure(tcpEntry(HOST, [port]));
    const mesh = await world.join();
    const socket = mesh.connect(HOST, 7000);
    socket.write('12');
    socket.end('345');
    expect((await readAll(socket)).toString()).toBe('got 5');
  });

  test('the other side may end first', async () => {
    world = await World.start('');
    let rest: Promise<Buffer> | undefined;
    const { port } = await serveTcp(world, (socket) => {
      rest = readAll(socket);
      socket.end('bye');
    });
    world.configure(tcpEntry(HOST, [port]));
    const mesh = await world.join();
    const socket = mesh.connect(HOST, 7000, { allowHalfOpen: true });
    expect((await readAll(socket)).toString()).toBe('bye');
    socket.end('still here');
    expect((await rest)?.toString()).toBe('still here');
  });

  test('whoever does not read slows the other side down', async () => {
    world = await World.start('');
    const size = 64 * 1024 * 1024;
    let sender: Socket | undefined;
    const { port } = await serveTcp(world, (socket) => {
      sender = socket;
      socket.end(Buffer.alloc(size, 7));
    });
    world.configure(tcpEntry(HOST, [port]));
    const mesh = await world.join();
    const socket = mesh.connect(HOST, 7000);
    await once(socket, 'readable');
    await eventually('the sender waits', () => (sender?.writableLength ?? 0) > size / 2);
    expect(socket.readableLength).toBeLessThan(1024 * 1024);
    let received = 0;
    for await (const chunk of socket) received += (chunk as Buffer).length;
    expect(received).toBe(size);
  });

  test('a large upload waits for whoever does not read it', async () => {
    world = await World.start('');
    let receiver: Socket | undefined;
    const { port } = await serveTcp(world, (socket) => {
      socket.pause();
      receiver = socket;
    });
    world.configure(tcpEntry(HOST, [port]));
    const mesh = await world.join();
    const socket = mesh.connect(HOST, 7000);
    await once(socket, 'connect');
    while (socket.write(Buffer.alloc(1024 * 1024))) await new Promise(setImmediate);
    const before = socket.bytesWritten;
    expect(socket.writableLength).toBeGreaterThan(0);
    const drained = once(socket, 'drain');
    receiver?.resume();
    await drained;
    expect(socket.bytesWritten).toBeGreaterThanOrEqual(before);
  });

  test('an abort destroys it', async () => {
    world = await World.start('');
    const { port, sockets } = await serveTcp(world, echo);
    world.configure(tcpEntry(HOST, [port]));
    const mesh = await world.join();
    const abort = new AbortController();
    const socket = mesh.connect(HOST, 7000, { signal: abort.signal });
    await once(socket, 'connect');
    abort.abort();
    expect(await errorOf(socket)).toMatchObject({ name: 'AbortError' });
    await eventually('the connection is gone', () => sockets.size === 0);
  });

  test('a silent connection is closed in order, and so is one that lived long enough', async () => {
    world = await World.start('');
    const { port, sockets } = await serveTcp(world, echo);
    world.configure(
      tcpEntry(HOST, [port]) +
        tcpEntry('other.example.com', [port]) +
        rule('{ connectionPool: { tcp: { idleTimeout: 1s } } }') +
        istio(
          'DestinationRule',
          'other',
          'host: other.example.com\ntrafficPolicy: { connectionPool: { tcp: { maxConnectionDuration: 200ms } } }',
        ),
    );
    const mesh = await world.join();
    for (const host of [HOST, 'other.example.com']) {
      const socket = mesh.connect(host, 7000);
      expect(await readAll(socket)).toHaveLength(0);
    }
    await eventually('the connections are gone', () => sockets.size === 0);
    expect(mesh.metrics()).toMatch(/connections_closed_total\{.*response_flags="DT".*\} 1/);
  });

  test('what the mesh does not know is connected to as it is, unless nothing else may be called', async () => {
    world = await World.start('');
    const { port } = await serveTcp(world, say('outside'));
    const open = await world.join();
    expect((await readAll(open.connect('127.0.0.1', port))).toString()).toBe('outside');
    await world.close();
    world = await World.start(tcpEntry(HOST, []), { outboundTrafficPolicy: 'REGISTRY_ONLY' });
    const closed = await world.join();
    expect(await errorOf(closed.connect('elsewhere.example.com', 80))).toMatchObject({
      code: 'INMESH_NO_ROUTE',
    });
  });

  test('the SNI of a TLS client chooses the destination', async () => {
    world = await World.start('');
    const [one, two] = [await serveTcp(world, swallow), await serveTcp(world, swallow)];
    world.configure(
      tcpEntry('one.example.com', [one.port], 'TLS') +
        tcpEntry('two.example.com', [two.port], 'TLS') +
        istio(
          'VirtualService',
          'sni',
          [
            'hosts: [one.example.com, "*.two.example.com"]',
            'tls:',
            '- match: [{ sniHosts: [one.example.com] }]',
            '  route: [{ destination: { host: two.example.com } }]',
          ].join('\n'),
        ),
    );
    const mesh = await world.join();
    const talk = async (servername: string) => {
      const carrier = mesh.connect('one.example.com', 7000);
      const tls = tlsConnect({ socket: carrier, servername });
      const errors = once(tls, 'error');
      return [carrier, errors] as const;
    };
    const [right] = await talk('one.example.com');
    await eventually('the second server is called', () => two.sockets.size > 0);
    expect(one.sockets.size).toBe(0);
    right.destroy();
    const [wrong, failed] = await talk('elsewhere.example.com');
    const error = await errorOf(wrong);
    expect(error).toMatchObject({ code: 'INMESH_NO_ROUTE', flags: ['NR'] });
    await failed;
  });
});

function swallow(socket: Socket): void {
  socket.resume();
}

/** Draws that cover [0, 1) evenly. */
function sequence(): () => number {
  let at = 0;
  return () => {
    at = (at + 0.618_033_988_75) % 1;
    return at;
  };
}
