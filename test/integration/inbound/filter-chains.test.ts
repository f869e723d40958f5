import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createSettableSource } from '../../../src/identity/source.js';
import type { X509Svid } from '../../../src/identity/x509-svid.js';
import { type InboundPolicy, inboundPolicy } from '../../../src/mesh/inbound.js';
import { type ChainCriteria, MATCH_EVERYTHING } from '../../../src/model/filter-chain-match.js';
import { NO_OVERRIDES } from '../../../src/model/filter-config.js';
import type { FilterChain, InboundListener } from '../../../src/model/listener.js';
import type { VirtualHost } from '../../../src/model/route.js';
import { localReply } from '../../../src/service/local-reply.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import {
  type Authority,
  clientOptions,
  createAuthority,
  exchange,
  PRODUCTPAGE,
  REVIEWS,
} from './authority.js';
import { digest, type Inbound, type InboundSetup, openSocket, startInbound, whenClosed } from './support.js';

let ca: Authority;
let reviews: X509Svid;
let productpage: X509Svid;

beforeAll(async () => {
  ca = await createAuthority();
  reviews = await ca.issue(REVIEWS);
  productpage = await ca.issue(PRODUCTPAGE);
});

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

const EVERYTHING: VirtualHost = {
  name: 'all',
  domains: ['*'],
  routes: [
    {
      name: '',
      match: {
        path: { kind: 'prefix', value: '/', caseSensitive: true },
        headers: [],
        queryParameters: [],
        runtimeFraction: undefined,
        grpcOnly: false,
      },
      action: { kind: 'non-forwarding' },
      filterOverrides: NO_OVERRIDES,
    },
  ],
  retryPolicy: undefined,
  filterOverrides: NO_OVERRIDES,
  includeRequestAttemptCount: false,
};

/** A chain that answers with its name. */
function chain(
  name: string,
  isTls: boolean,
  match: Partial<ChainCriteria>,
  alpn: string[] = [],
): FilterChain {
  const { transportProtocol: _, ...everything } = MATCH_EVERYTHING;
  return {
    name,
    transportProtocol: isTls ? 'tls' : 'raw_buffer',
    match: { ...everything, ...match },
    tls: isTls ? { requireClientCertificate: true, alpn } : undefined,
    http: {
      routes: { kind: 'inline', config: { name, virtualHosts: [EVERYTHING] } },
      filters: [],
    },
  };
}

function policyOf(filterChains: FilterChain[], rest: Partial<InboundListener> = {}): InboundPolicy {
  const listener: InboundListener = {
    kind: 'inbound',
    name: 'in',
    address: undefined,
    filterChains,
    ...rest,
  };
  return inboundPolicy(listener, {
    buildFilters: ({ routes }) => [
      async (request) =>
        localReply(request, {
          status: 200,
          body: `<${routes.kind === 'inline' ? routes.config.name : ''}>`,
          details: 'test',
          reason: 'INMESH_TEST',
        }),
    ],
  });
}

async function start(policy: InboundPolicy, setup: Partial<InboundSetup> = {}): Promise<Inbound> {
  const identity = createSettableSource({ svid: reviews, bundles: [ca.authority.bundle()] });
  const inbound = await startInbound(digest, { mode: 'strict', identity, ...setup });
  inbound.policy.set(policy);
  open.push(inbound);
  return inbound;
}

async function answer(port: number, options: ConnectionOptions): Promise<string> {
  const { text, error } = await exchange(port, { ...clientOptions(ca.authority, productpage), ...options });
  return /<.*>/.exec(text)?.[0] ?? (error === undefined ? 'closed' : 'refused');
}

async function plain(port: number, localAddress: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  const error = await whenClosed(socket);
  return /<.*>/.exec(text)?.[0] ?? (error === undefined ? 'closed' : 'refused');
}

const BY_NAME = [
  chain('a', true, { serverNames: ['a.example'] }, ['http/1.1']),
  chain('other names', true, { serverNames: ['*.example'] }),
  chain('by alpn', true, { applicationProtocols: ['http/1.1'] }),
];

describe('filter chains of an HTTP server', () => {
  test('are chosen by the name and the protocols that a client asks for before its handshake', async () => {
    const { port, attachment, log } = await start(policyOf(BY_NAME));
    expect(await answer(port, { servername: 'a.example' })).toBe('<a>');
    expect(await answer(port, { servername: 'B.example' })).toBe('<other names>');
    expect(await answer(port, { servername: 'elsewhere', ALPNProtocols: ['http/1.1'] })).toBe('<by alpn>');
    expect(await answer(port, { ALPNProtocols: ['http/1.1'] })).toBe('<by alpn>');
    // Nothing takes it.
    expect(await answer(port, { servername: 'elsewhere' })).toBe('refused');
    expect(attachment.refusals.tls).toBe(1);
    expect(log.at(-1)?.message).toContain('no filter chain takes the connection from 127.0.0.1:');
  });

  test('have ALPN names of their own', async () => {
    const { port } = await start(policyOf(BY_NAME));
    // The chain for this name knows HTTP/1.1 only.
    expect(await answer(port, { servername: 'a.example', ALPNProtocols: ['istio'] })).toBe('refused');
    expect(await answer(port, { servername: 'b.example', ALPNProtocols: ['istio'] })).toBe('<other names>');
  });

  test('are chosen by where plaintext comes from; the default takes the rest', async () => {
    const source = (address: string, bits: number) => ({ sourceRanges: [{ address, bits }] });
    const chains = [
      chain('one host', false, source('127.0.0.2', 32)),
      chain('a network', false, source('127.0.0.0', 30)),
      chain('a port', false, { destinationPort: 1 }),
    ];
    const { port, policy } = await start(policyOf(chains));
    expect(await plain(port, '127.0.0.2')).toBe('<one host>');
    expect(await plain(port, '127.0.0.3')).toBe('<a network>');
    expect(await plain(port, '127.0.0.9')).toBe('refused');
    policy.set(policyOf(chains, { defaultChain: { ...chain('others', false, {}), transportProtocol: '' } }));
    expect(await plain(port, '127.0.0.9')).toBe('<others>');
    // Local is what is not external.
    policy.set(
      policyOf([
        chain('local', false, { sourceType: 'local' }),
        chain('external', false, { sourceType: 'external' }),
      ]),
    );
    expect(await plain(port, '127.0.0.9')).toBe('<local>');
  });

  test('TLS for a chain without a certificate is refused, not given to the next', async () => {
    const chains = [
      { ...chain('plain', false, { serverNames: ['a.example'] }), transportProtocol: 'tls' as const },
      chain('any', true, {}),
    ];
    const { port } = await start(policyOf(chains));
    expect(await answer(port, { servername: 'a.example' })).toBe('refused');
    expect(await answer(port, { servername: 'b.example' })).toBe('<any>');
  });

  test('a change closes the connections that no chain takes any more', async () => {
    const { port, policy } = await start(policyOf([chain('all', false, { sourceType: 'local' })]));
    const socket = await openSocket(port);
    const closed = whenClosed(socket);
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    while (!socket.received().includes('<all>')) await once(socket, 'data');
    policy.set(policyOf([chain('all', false, { sourceType: 'external' })]));
    expect(await closed).toBeUndefined();
  });

  test('a ClientHello may come in pieces; what is none is refused', async () => {
    const inbound = await start(policyOf(BY_NAME));
    const { port: proxied } = await inPieces(inbound.port);
    expect(await answer(proxied, { servername: 'a.example' })).toBe('<a>');
    const socket = await openSocket(inbound.port);
    const closed = whenClosed(socket);
    socket.write(Buffer.from([0x16, 3, 1, 0, 4, 2, 0, 0, 0]));
    await closed;
    expect(inbound.attachment.refusals.handshake).toBe(1);
  });

  test('whoever says nothing is refused after the time that the listener names, or goes on as plaintext', async () => {
    const clock = createFakeClock();
    const silent = (continuesOnTimeout: boolean) =>
      policyOf([chain('all', false, { sourceType: 'local' })], {
        inspection: { timeoutMs: 700, continuesOnTimeout },
      });
    const inbound = await start(silent(false), { clock });
    const arrived = () => once(inbound.server, 'connection-arrived');
    const emit = inbound.server.emit.bind(inbound.server);
    inbound.server.emit = (event: string, ...args: unknown[]) => {
      const isHandled = emit(event, ...args);
      if (event === 'connection') emit('connection-arrived');
      return isHandled;
    };
    let here = arrived();
    const first = whenClosed(await openSocket(inbound.port));
    await here;
    await clock.advance(700);
    await first;
    expect(inbound.attachment.refusals.silent).toBe(1);
    inbound.policy.set(silent(true));
    here = arrived();
    const socket = await openSocket(inbound.port);
    await here;
    await clock.advance(700);
    socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    await whenClosed(socket);
    expect(socket.received()).toContain('<all>');
  });
});

/** Passes connections on, the first bytes of each one after the other. */
async function inPieces(target: number): Promise<AddressInfo> {
  const server = createServer({ noDelay: true }, (from) => {
    const to: Socket = connect({ port: target, host: '127.0.0.1', noDelay: true });
    const passOn = async (chunk: Buffer) => {
      from.pause();
      for (const piece of [chunk.subarray(0, 3), chunk.subarray(3, 60), chunk.subarray(60)]) {
        await new Promise((resolve) => to.write(piece, resolve));
        await new Promise((resolve) => setImmediate(resolve));
      }
      from.pipe(to);
    };
    from.once('data', (chunk: Buffer) => void passOn(chunk));
    to.pipe(from);
    from.on('error', () => to.destroy());
    to.on('error', () => from.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(server);
  // A TCP server has an AddressInfo.
  return server.address() as AddressInfo;
}
