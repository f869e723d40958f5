import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, createServer as createHttpsServer, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { peerOf } from '../../../src/bindings/http/connection.js';
import { forwardedClientCert } from '../../../src/bindings/http/forwarded-client-cert.js';
import { createSettableSource, type SettableSource, staticSource } from '../../../src/identity/source.js';
import type { X509Svid } from '../../../src/identity/x509-svid.js';
import type { ForwardedClientCert } from '../../../src/model/client-cert.js';
import { systemClock } from '../../../src/runtime/clock.js';
import type { ConnectionInfo } from '../../../src/service/connection.js';
import type { Filter } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import {
  type Authority,
  clientOptions,
  createAuthority,
  exchange,
  PRODUCTPAGE,
  REVIEWS,
} from './authority.js';
import {
  accepted,
  digest,
  type Inbound,
  type InboundSetup,
  openSocket,
  policyOf,
  readAll,
  sha256,
  startInbound,
  whenClosed,
} from './support.js';

let ca: Authority;
let foreign: Authority;
let reviews: X509Svid;
let productpage: X509Svid;

let issuedAtMs = 0;

beforeAll(async () => {
  issuedAtMs = systemClock.wallTime();
  ca = await createAuthority();
  foreign = await createAuthority();
  reviews = await ca.issue(REVIEWS);
  productpage = await ca.issue(PRODUCTPAGE);
});

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

function reviewsSource(svid = reviews): SettableSource {
  return createSettableSource({ svid, bundles: [ca.authority.bundle()] });
}

async function start(
  listener: Parameters<typeof startInbound>[0],
  setup: Partial<InboundSetup> = {},
): Promise<Inbound> {
  const inbound = await startInbound(listener, { mode: 'strict', identity: reviewsSource(), ...setup });
  open.push(inbound);
  return inbound;
}

function client(svid: X509Svid = productpage): Agent {
  const agent = new Agent({ ...clientOptions(ca.authority, svid), keepAlive: true, maxSockets: 1 });
  open.push({ close: () => agent.destroy() });
  return agent;
}

interface Sent {
  readonly method?: string;
  readonly body?: Buffer;
  readonly headers?: Record<string, string>;
}

async function send(port: number, agent: Agent, { method = 'GET', body, headers }: Sent = {}) {
  const request = httpsRequest({ host: '127.0.0.1', port, agent, method, ...(headers && { headers }) });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const { localPort } = response.socket;
  return { response, text: (await readAll(response)).toString(), localPort };
}

/** Waits until a condition of the other side holds. */
async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

describe('mTLS', () => {
  test('the application sees the request, the encrypted socket and the peer', async () => {
    const { port } = await start((request, response) => {
      const socket = request.socket as TLSSocket;
      const subject = socket.getPeerCertificate().subjectaltname;
      response.end(JSON.stringify([socket.encrypted, socket.authorized, subject, peerOf(request)?.spiffeId]));
    });
    const { text } = await send(port, client());
    expect(JSON.parse(text)).toEqual([true, true, `URI:${PRODUCTPAGE}`, PRODUCTPAGE]);
  });

  test.each(['strict', 'permissive'] as const)('big bodies arrive unchanged when %s', async (mode) => {
    const { port } = await start(digest, { mode });
    const agent = client();
    for (const size of [1, 16_384, 300_000, 3_000_000]) {
      const body = randomBytes(size);
      const { text } = await send(port, agent, { method: 'POST', body });
      expect(text, `${size} bytes`).toBe(sha256(body));
    }
  });

  test('big responses arrive unchanged', async () => {
    const body = randomBytes(1_000_000).toString('hex');
    const { port } = await start((_, response) => response.end(body));
    expect(sha256((await send(port, client())).text)).toBe(sha256(body));
  });

  test('keep-alive reuses the connection', async () => {
    const { port } = await start((_, response) => response.end('ok'));
    const agent = client();
    const ports = new Set<number | undefined>();
    for (let i = 0; i < 5; i++) ports.add((await send(port, agent)).localPort);
    expect(ports.size).toBe(1);
  });

  test('plaintext and mTLS share the port when permissive', async () => {
    const { port, url } = await start(
      (request, response) => response.end(peerOf(request)?.spiffeId ?? 'plaintext'),
      { mode: 'permissive' },
    );
    expect(await (await fetch(url)).text()).toBe('plaintext');
    expect((await send(port, client())).text).toBe(PRODUCTPAGE);
  });

  test('x-forwarded-client-cert names the verified peer, whatever the client sent', async () => {
    let seen: unknown[] = [];
    const { port } = await start((request, response) => {
      const name = 'x-forwarded-client-cert';
      const raw = request.rawHeaders.filter((_, i, all) => all[i - 1]?.toLowerCase() === name);
      seen = [request.headers[name], request.headersDistinct[name], raw];
      response.end();
    });
    const hash = createHash('sha256').update(productpage.leaf.raw).digest('hex');
    const expected = `By=${REVIEWS};Hash=${hash};Subject="";URI=${PRODUCTPAGE}`;
    await send(port, client(), { headers: { 'X-Forwarded-Client-Cert': `URI=${REVIEWS}` } });
    expect(seen).toEqual([expected, [expected], [expected]]);
    await send(port, client());
    expect(seen).toEqual([expected, [expected], [expected]]);
  });

  test('filters see the peer', async () => {
    let seen: [string | undefined, string] | undefined;
    const watch: Filter = (request, next) => {
      seen = [request.context.peerId, request.scheme];
      return next(request);
    };
    const { port } = await start((_, response) => response.end(), { filters: [watch] });
    await send(port, client());
    expect(seen).toEqual([PRODUCTPAGE, 'https']);
  });

  test('an upgrade works over TLS, with the verified peer in its headers', async () => {
    let forwarded: unknown;
    const { port } = await start(() => {}, {
      attach: (server) =>
        server.on('upgrade', (request, socket) => {
          forwarded = request.headers['x-forwarded-client-cert'];
          socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
          socket.on('data', (chunk) => socket.end(`echo ${String(chunk)}`));
        }),
    });
    const socket = connect({ ...clientOptions(ca.authority, productpage), port });
    await once(socket, 'secureConnect');
    socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n');
    await once(socket, 'data');
    socket.write('ping');
    const [chunk] = await once(socket, 'data');
    expect(String(chunk)).toBe('echo ping');
    expect(forwarded).toContain(`URI=${PRODUCTPAGE}`);
    socket.destroy();
  });

  test('closeAllConnections closes TLS connections and handshakes under way', async () => {
    const { port, server } = await start((_, response) => response.write('begun'));
    const socket = connect({ ...clientOptions(ca.authority, productpage), port });
    await once(socket, 'secureConnect');
    const gone = whenClosed(socket);
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await once(socket, 'data');
    const half = await openSocket(port);
    const halfGone = whenClosed(half);
    half.write(Buffer.from([0x16, 3, 1]));
    const connections = () =>
      new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)));
    while ((await connections()) < 2) await new Promise(setImmediate);
    server.closeAllConnections();
    await Promise.all([gone, halfGone]);
  });

  test('a connection that is new, or in its handshake, is answered once when the mesh lets go of the server', async () => {
    const { port, server, attachment } = await start((_, response) => response.end('ok'));
    const open = () => connect({ ...clientOptions(ca.authority, productpage), port });
    const done = open();
    await once(done, 'secureConnect');
    // Not one byte was exchanged yet.
    const half = await openSocket(port);
    await accepted(server, 2);
    const closed = attachment.close();
    const inHandshake = connect({ ...clientOptions(ca.authority, productpage), socket: half });
    const answers = [done, inHandshake].map(async (socket) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
      socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      await whenClosed(socket);
      return text;
    });
    for (const answer of await Promise.all(answers)) expect(answer).toMatch(/connection: close\r\n/i);
    await closed;
  });

  test('idle TLS connections end when the server closes', async () => {
    const { port, server } = await start((_, response) => response.end('ok'));
    await send(port, client());
    const closed = once(server, 'close');
    server.close();
    await closed;
    server.listen(port);
    await once(server, 'listening');
  });
});

describe('a client is refused', () => {
  async function refused(svid: X509Svid | undefined, identity = reviewsSource()) {
    let reached = 0;
    const inbound = await start(
      (_, response) => {
        reached++;
        response.end();
      },
      { identity },
    );
    const { text, error } = await exchange(inbound.port, clientOptions(ca.authority, svid));
    expect(text).toBe('');
    expect(reached).toBe(0);
    return { ...inbound, error };
  }

  test('without a certificate', async () => {
    const { attachment, error, log } = await refused(undefined);
    expect(error).toMatchObject({ code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' });
    expect(attachment.refusals.handshake).toBe(1);
    expect(log[0]?.fields).toMatchObject({ code: 'INMESH_PEER_IDENTITY', reason: 'handshake' });
  });

  test('with a certificate of another CA that forges our trust domain', async () => {
    const { attachment } = await refused(await foreign.issue(PRODUCTPAGE));
    expect(attachment.refusals.handshake).toBe(1);
  });

  test('with an expired certificate', async () => {
    const { attachment } = await refused(await ca.issue(PRODUCTPAGE, 3_600_000, 7_200_000));
    expect(attachment.refusals.handshake).toBe(1);
  });

  test('of a trust domain that is not ours, even with a CA that Node would accept', async () => {
    const other = await createAuthority('other.example');
    const svid = await other.issue('spiffe://other.example/ns/default/sa/productpage');
    const { attachment } = await refused(svid);
    expect(attachment.refusals.handshake).toBe(1);
  });

  test('when a CA vouches for the workload of another trust domain', async () => {
    // Both roots are in one pool for OpenSSL; which one may vouch for whom is our own check.
    const other = await createAuthority('other.example');
    const forged = await other.issue('spiffe://other.example/ns/default/sa/x');
    const identity = staticSource(reviews, [ca.authority.bundle(), other.authority.bundle()]);
    const bundle = (name: string) =>
      name === 'other.example' ? ca.authority.bundle() : identity.bundle(name);
    const pooled = {
      ...ca.authority.bundle(),
      authorities: [ca.authority.rootPem(), other.authority.rootPem()],
    };
    const { attachment, log } = await refused(forged, {
      ...reviewsSource(),
      bundle: (name) => (name === 'cluster.local' ? pooled : bundle(name)),
    });
    expect(attachment.refusals.peer).toBe(1);
    expect(log[0]?.fields['code']).toBe('INMESH_TRUST_DOMAIN');
  });

  test('when it speaks TLS 1.2 at most', async () => {
    const { port, attachment } = await start((_, response) => response.end());
    const { error } = await exchange(port, {
      ...clientOptions(ca.authority, productpage),
      maxVersion: 'TLSv1.2',
    });
    expect(error).toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
    expect(attachment.refusals.handshake).toBe(1);
  });

  test('when it offers no protocol that the server speaks', async () => {
    const { port } = await start((_, response) => response.end());
    const options = { ...clientOptions(ca.authority, productpage), ALPNProtocols: ['h3'] };
    expect((await exchange(port, options)).text).toBe('');
    const both = await exchange(port, { ...options, ALPNProtocols: ['h3', 'http/1.1'] });
    expect(both.text).toContain('200 OK');
  });

  test('when it tries to resume a session: it has to shake hands in full', async () => {
    const { port } = await start((_, response) => response.end('ok'));
    const options = clientOptions(ca.authority, productpage);
    expect(await resumes(port, options)).toBe(false);
    // The same client does resume where it may, so the refusal above is the server's.
    const lenient = createHttpsServer(
      {
        cert: reviews.certificatesPem.join(''),
        key: reviews.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      },
      (_, response) => response.end('ok'),
    );
    open.push({ close: () => lenient.close() });
    lenient.listen(0, '127.0.0.1');
    await once(lenient, 'listening');
    expect(await resumes((lenient.address() as AddressInfo).port, options)).toBe(true);
  });
});

/** Whether a second connection with the first one's session is a resumed one. */
async function resumes(port: number, options: ConnectionOptions): Promise<boolean> {
  const sessions: Buffer[] = [];
  const first = connect({ ...options, port });
  first.on('session', (session: Buffer) => sessions.push(session));
  first.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  first.resume();
  await once(first, 'close');
  const [session] = sessions;
  const { text, reused } = await exchange(port, { ...options, ...(session && { session }) });
  expect(text).toContain('200 OK');
  return reused;
}

describe('rotation', () => {
  test('a live connection goes on, and new ones get the new certificate', async () => {
    const source = reviewsSource();
    const { port } = await start((_, response) => response.end('ok'), { identity: source });
    const agent = client();
    const before = await send(port, agent);
    const next = await ca.issue(REVIEWS);
    source.set({ svid: next, bundles: [ca.authority.bundle()] });
    const after = await send(port, agent);
    expect(after.localPort).toBe(before.localPort);
    const fresh = connect({ ...clientOptions(ca.authority, productpage), port });
    await once(fresh, 'secureConnect');
    expect(fresh.getPeerCertificate().serialNumber).toBe(next.leaf.serialNumber);
    fresh.destroy();
  });

  test('no request fails while certificates change under load', async () => {
    const source = reviewsSource();
    const { port } = await start((_, response) => response.end('ok'), { identity: source });
    const next = await Promise.all(Array.from({ length: 5 }, () => ca.issue(REVIEWS)));
    let running = true;
    const load = Array.from({ length: 4 }, async (_, index) => {
      let count = 0;
      const agent = client();
      while (running) {
        // Half of the clients make a new connection each time.
        const { text } = await send(port, index % 2 === 0 ? agent : client());
        expect(text).toBe('ok');
        count++;
      }
      return count;
    });
    for (const svid of next) {
      for (let i = 0; i < 20; i++) await new Promise(setImmediate);
      source.set({ svid, bundles: [ca.authority.bundle()] });
      await send(port, client());
    }
    running = false;
    expect(Math.min(...(await Promise.all(load)))).toBeGreaterThan(0);
  });

  test('roots that are taken away no longer let new connections in', async () => {
    const source = reviewsSource();
    const { port, attachment } = await start((_, response) => response.end('ok'), { identity: source });
    expect((await exchange(port, clientOptions(ca.authority, productpage))).text).toContain('200');
    source.set({ svid: reviews, bundles: [foreign.authority.bundle()] });
    expect((await exchange(port, clientOptions(ca.authority, productpage))).text).toBe('');
    expect(attachment.refusals.handshake).toBe(1);
  });

  test('without a certificate of our own, handshakes are refused until there is one', async () => {
    const source = createSettableSource();
    const { port, attachment } = await start((_, response) => response.end('ok'), { identity: source });
    expect((await exchange(port, clientOptions(ca.authority, productpage))).text).toBe('');
    expect(attachment.refusals.identity).toBe(1);
    source.set({ svid: reviews, bundles: [ca.authority.bundle()] });
    expect((await exchange(port, clientOptions(ca.authority, productpage))).text).toContain('200');
  });
});

describe('the end of a certificate', () => {
  const HOUR_MS = 3_600_000;

  async function startWithClock(listener: Parameters<typeof startInbound>[0]) {
    // However long the tests before took, the certificates end an hour after this.
    const clock = createFakeClock(issuedAtMs);
    const inbound = await start(listener, { clock });
    return { ...inbound, clock };
  }

  test('shortly before it, responses say Connection: close', async () => {
    const { port, clock } = await startWithClock((_, response) => response.end('ok'));
    const agent = client();
    const first = await send(port, agent);
    expect(first.response.headers.connection).toBe('keep-alive');
    await clock.advance(HOUR_MS - 30_000);
    const last = await send(port, agent);
    expect(last.localPort).toBe(first.localPort);
    expect(last.response.headers.connection).toBe('close');
  });

  test('at it, an idle connection is closed', async () => {
    const { port, clock } = await startWithClock((_, response) => response.end('ok'));
    const socket = connect({ ...clientOptions(ca.authority, productpage), port });
    await once(socket, 'secureConnect');
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await once(socket, 'data');
    const gone = whenClosed(socket);
    await clock.advance(HOUR_MS);
    await gone;
  });

  test('a running exchange has ten more seconds, then it is cut', async () => {
    let begun = false;
    const { port, clock } = await startWithClock((_, response) => {
      response.write('begun');
      begun = true;
    });
    const socket = connect({ ...clientOptions(ca.authority, productpage), port });
    await once(socket, 'secureConnect');
    let closed = false;
    const gone = whenClosed(socket.resume()).then(() => {
      closed = true;
    });
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await eventually(() => begun);
    await clock.advance(HOUR_MS + 5_000);
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    expect(closed).toBe(false);
    await clock.advance(6_000);
    await gone;
  });

  test('a tunnel ends with it', async () => {
    const clock = createFakeClock(systemClock.wallTime());
    const { port } = await start(() => {}, {
      clock,
      attach: (server) => server.on('upgrade', (_, socket) => socket.write('HTTP/1.1 101 x\r\n\r\n')),
    });
    const socket = connect({ ...clientOptions(ca.authority, productpage), port });
    await once(socket, 'secureConnect');
    socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n');
    await once(socket, 'data');
    const gone = whenClosed(socket);
    await clock.advance(HOUR_MS);
    await gone;
  });
});

test('a change to disable closes mTLS connections and serves plaintext', async () => {
  const { port, url, policy } = await start((_, response) => response.end('ok'), { mode: 'permissive' });
  const socket = connect({ ...clientOptions(ca.authority, productpage), port });
  await once(socket, 'secureConnect');
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await once(socket, 'data');
  const gone = whenClosed(socket);
  policy.set(policyOf('disable'));
  await gone;
  expect(await (await fetch(url)).text()).toBe('ok');
});

describe('x-forwarded-client-cert by the rule of the listener', () => {
  const rule = (mode: ForwardedClientCert['mode']): ForwardedClientCert => ({
    mode,
    subject: true,
    cert: false,
    dns: false,
    uri: true,
  });
  const OTHER = 'By=spiffe://a;Hash=00;URI=spiffe://b';
  const hash = () => createHash('sha256').update(productpage.leaf.raw).digest('hex');
  const own = () => `By=${REVIEWS};Hash=${hash()};Subject="";URI=${PRODUCTPAGE}`;

  async function seenWith(mode: ForwardedClientCert['mode'], received: string | undefined) {
    let seen: string | string[] | undefined;
    const inbound = await start(
      (request, response) => {
        seen = request.headers['x-forwarded-client-cert'];
        response.end();
      },
      { mode: 'permissive', clientCert: rule(mode) },
    );
    const headers = received === undefined ? {} : { 'x-forwarded-client-cert': received };
    await send(inbound.port, client(), { headers });
    const proven = seen;
    await fetch(inbound.url, { headers });
    return [proven, seen];
  }

  test('is passed on, extended or replaced over mTLS, and taken off without', async () => {
    expect(await seenWith('forward-only', OTHER)).toEqual([OTHER, undefined]);
    expect(await seenWith('append-forward', OTHER)).toEqual([`${OTHER},${own()}`, undefined]);
    expect(await seenWith('append-forward', undefined)).toEqual([own(), undefined]);
    expect(await seenWith('sanitize-set', OTHER)).toEqual([own(), undefined]);
    expect(await seenWith('always-forward-only', OTHER)).toEqual([OTHER, OTHER]);
  });

  test('says what it is asked to say, and what could end a value is quoted', () => {
    const tls = {
      localUriSan: 'spiffe://d/a;b',
      peer: {
        sha256: 'ff',
        subject: 'CN=a"b',
        uriSans: ['spiffe://d/x'],
        dnsSans: ['a.test', 'b,c'],
        pem: 'P E\nM',
      },
    };
    const connection = { tls } as unknown as ConnectionInfo;
    const all = { mode: 'sanitize-set', subject: true, cert: true, dns: true, uri: true } as const;
    const peer = { forwardedClientCert: 'shown' };
    expect(forwardedClientCert(all, 'forged', peer, () => connection)).toBe(
      'By="spiffe://d/a;b";Hash=ff;Cert="P%20E%0AM";Subject="CN=a\\"b";URI=spiffe://d/x;DNS=a.test;DNS="b,c"',
    );
  });
});
