import { once } from 'node:events';
import { request as nodeRequest, type RequestListener } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { inboundPolicyOf } from '../../../src/mesh/inbound-policy.js';
import type { ExtAuthzConfig } from '../../../src/model/ext-authz.js';
import type { InboundListener } from '../../../src/model/listener.js';
import { DEFAULT_HTTP2_OPTIONS } from '../../../src/model/upstream-protocol.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { GRPC, HTTP, named } from '../../unit/filters/ext-authz-fixtures.js';
import { type Inbound, startInbound } from '../inbound/support.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';
import { type Started, startGrpc, startSeeing } from './authz-servers.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
const started = async <T extends Started>(starting: Promise<T>): Promise<T> => {
  const one = await starting;
  closers.push(one.stop);
  return one;
};

const FOREVER_MS = 60_000;
const BODY = { maxBytes: 200_000, allowPartial: false, packAsBytes: false };

function listenerOf(config: ExtAuthzConfig): InboundListener {
  const table = host('inbound', [{ ...forward('-'), action: { kind: 'non-forwarding' } }]).routes;
  if (table === undefined) throw new Error('a host has a table');
  const filters = [
    { name: 'authz', config },
    { name: 'router', config: { kind: 'router' } as const },
  ];
  const http = { routes: { kind: 'inline', config: table } as const, filters };
  const chain = { name: 'plain', transportProtocol: 'raw_buffer', tls: undefined, http } as const;
  return { kind: 'inbound', name: 'inbound', address: undefined, filterChains: [chain] };
}

const overHttp = (change: Partial<ExtAuthzConfig> = {}): ExtAuthzConfig => {
  if (HTTP.service.kind !== 'http') throw new Error('asks over HTTP');
  const uri = { uri: 'http://authz', cluster: 'authz', timeoutMs: FOREVER_MS };
  return {
    ...HTTP,
    service: { ...HTTP.service, uri, upstreamHeaders: [named('x-user')] },
    ...change,
  };
};
const overGrpc = (change: Partial<ExtAuthzConfig> = {}): ExtAuthzConfig => {
  if (GRPC.service.kind !== 'grpc') throw new Error('asks over gRPC');
  return {
    ...GRPC,
    service: { kind: 'grpc', service: { ...GRPC.service.service, timeoutMs: FOREVER_MS } },
    ...change,
  };
};

/** A server whose requests are judged by the service at the port. */
async function startServer(
  port: number,
  config: ExtAuthzConfig,
  application: RequestListener,
  attach?: (server: Inbound['server']) => void,
): Promise<Inbound> {
  const change =
    config.service.kind === 'grpc'
      ? { protocol: { kind: 'http2', http2: DEFAULT_HTTP2_OPTIONS } as const }
      : {};
  const mesh = createStaticMesh(snapshotOf([], [cluster('authz', [endpoint(port)], change)]));
  const inbound = await startInbound(application, {
    mode: 'disable',
    ...(attach !== undefined && { attach }),
  });
  closers.push(
    () => mesh.close(),
    () => inbound.close(),
  );
  inbound.policy.set(
    inboundPolicyOf(listenerOf(config), {
      clock: systemClock,
      random: seededRandom(1),
      node: { id: 'node', cluster: 'test' },
      upstream: mesh.callOut,
    }),
  );
  return inbound;
}

/** Answers with the user that it was told and the body that it read. */
const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    response.setHeader('x-seen-user', request.headers['x-user'] ?? '');
    response.end(Buffer.concat(chunks));
  });
};

describe('requests to a server', () => {
  test('are let through and refused over HTTP', async () => {
    const authz = await started(
      startSeeing(({ headers }, response) => {
        if (headers.authorization === 'good') response.setHeader('x-user', 'ada').end();
        else response.writeHead(403).end('who are you?');
      }),
    );
    const { url } = await startServer(authz.port, overHttp(), echo);
    const good = await fetch(url, { headers: { authorization: 'good', 'x-user': 'forged' } });
    expect([good.status, good.headers.get('x-seen-user')]).toEqual([200, 'ada']);
    const bad = await fetch(url, { method: 'POST', body: 'order' });
    expect([bad.status, await bad.text()]).toEqual([403, 'who are you?']);
  });

  test('are known with both ends over gRPC', async () => {
    const authz = await started(
      startGrpc(({ attributes }) => {
        const { source, destination, request } = attributes ?? {};
        const address = source?.address?.address;
        return {
          httpResponse: {
            case: 'okResponse',
            value: {
              headers: [
                {
                  header: {
                    key: 'x-user',
                    value: `${address?.case === 'socketAddress' ? address.value.address : ''} ${request?.http?.protocol}`,
                  },
                },
              ],
              responseHeadersToAdd: [
                { header: { key: 'x-known', value: String(destination?.address !== undefined) } },
              ],
            },
          },
        };
      }),
    );
    const { url } = await startServer(authz.port, overGrpc(), echo);
    const { headers } = await fetch(url);
    expect([headers.get('x-seen-user'), headers.get('x-known')]).toEqual(['127.0.0.1 HTTP/1.1', 'true']);
  });

  test.each([
    ['short', 10],
    ['longer than any buffer', 150_000],
    ['as long as may be', 200_000],
  ])('have their body seen by the service and read by the application: %s', async (_what, length) => {
    const authz = await started(startSeeing((_seen, response) => response.end()));
    const { url } = await startServer(authz.port, overHttp({ body: BODY }), echo);
    const text = 'abcdefghij'.repeat(length / 10);
    const whole = await fetch(url, { method: 'POST', body: text });
    expect(await whole.text()).toBe(text);
    const chunked = await fetch(url, {
      method: 'POST',
      body: new Blob([text]).stream(),
      duplex: 'half',
    } as RequestInit);
    expect(await chunked.text()).toBe(text);
    expect(authz.seen.map(({ body, headers }) => [body, headers['x-envoy-auth-partial-body']])).toEqual([
      [text, 'false'],
      [text, 'false'],
    ]);
  });

  test('without body are not waited for', async () => {
    const authz = await started(startSeeing((_seen, response) => response.end()));
    const { url } = await startServer(authz.port, overHttp({ body: BODY }), echo);
    expect(await (await fetch(url)).text()).toBe('');
    const empty = await fetch(url, {
      method: 'POST',
      body: new Blob([]).stream(),
      duplex: 'half',
    } as RequestInit);
    expect(await empty.text()).toBe('');
  });

  test('with a body that is too long are refused, or seen in part', async () => {
    const authz = await started(startSeeing((_seen, response) => response.end()));
    const text = 'x'.repeat(300_000);
    const refusing = await startServer(authz.port, overHttp({ body: BODY }), echo);
    const refused = await new Promise<number | undefined>((resolve, reject) => {
      const sent = nodeRequest(refusing.url, { method: 'POST' }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      sent.on('error', reject).write(text);
    });
    expect(refused).toBe(413);
    expect(authz.seen).toEqual([]);
    const partly = { ...BODY, maxBytes: 100, allowPartial: true };
    const allowing = await startServer(authz.port, overHttp({ body: partly }), echo);
    expect(await (await fetch(allowing.url, { method: 'POST', body: text })).text()).toBe(text);
    expect(authz.seen[0]).toMatchObject({
      body: text.slice(0, 100),
      headers: { 'x-envoy-auth-partial-body': 'true' },
    });
  });

  test('can be read by an application that awaits the chunks', async () => {
    const authz = await started(startSeeing((_seen, response) => response.end()));
    const { url } = await startServer(authz.port, overHttp({ body: BODY }), (request, response) => {
      void (async () => {
        let text = '';
        for await (const chunk of request) text += String(chunk);
        response.end(text.toUpperCase());
      })();
    });
    expect(await (await fetch(url, { method: 'POST', body: 'order' })).text()).toBe('ORDER');
  });

  test('that wait to be asked for their body are asked', async () => {
    const authz = await started(startSeeing((_seen, response) => response.end()));
    const { url } = await startServer(authz.port, overHttp({ body: BODY }), echo, (server) => {
      server.on('checkContinue', (request, response) => {
        response.writeContinue();
        echo(request, response);
      });
    });
    const headers = { expect: '100-continue', 'content-length': '5' };
    const text = await new Promise<string>((resolve, reject) => {
      const sent = nodeRequest(url, { method: 'POST', headers }, (response) => {
        let read = '';
        response.on('data', (chunk: Buffer) => (read += chunk.toString()));
        response.on('end', () => resolve(read));
      });
      sent.on('error', reject).once('continue', () => sent.end('order'));
      sent.flushHeaders();
    });
    expect(text).toBe('order');
    expect(authz.seen[0]?.body).toBe('order');
  });

  test('whose body breaks off reach neither the service nor the application', async () => {
    const authz = await started(startSeeing((_seen, response) => response.end()));
    let handled = 0;
    const { port } = await startServer(authz.port, overHttp({ body: BODY }), () => {
      handled++;
    });
    const socket = connect(port, '127.0.0.1');
    socket.resume().end('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf');
    await once(socket, 'close');
    expect([authz.seen.length, handled]).toEqual([0, 0]);
  });
});
