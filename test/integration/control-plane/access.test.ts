import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type ControlPlane,
  type ControlPlaneOptions,
  createControlPlane,
} from '../../../src/control-plane.js';
import { createCaSource } from '../../../src/identity/ca-source.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { systemRandom } from '../../../src/runtime/random.js';
import { testIssuer } from '../../unit/control-plane/access/tokens.js';
import { nodeOf } from '../../unit/control-plane/compile/mesh.js';
import { AdsClient } from './ads-client.js';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const issuer = testIssuer('https://issuer.test');
const oidc = [
  {
    issuer: issuer.issuer,
    jwks: issuer.jwks,
    audiences: ['inmesh'],
    identities: [{ id: 'spiffe://cluster.local/ns/default/sa/{sub}' }],
  },
];
const token = (sub: string) => issuer.sign({ sub, exp: Date.now() / 1000 + 600 });

/** A control plane that believes nobody without proof. */
async function start(options: ControlPlaneOptions = {}): Promise<{ plane: ControlPlane; rootPem: Buffer }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'inmesh-access-'));
  closing.push(() => rm(dataDir, { recursive: true }));
  const plane = await createControlPlane({
    ports: { secureXds: 0, http: 0 },
    dataDir,
    callers: { loopback: false, oidc },
    ...options,
  });
  closing.push(() => plane.close());
  return { plane, rootPem: Buffer.from(plane.rootsPem()) };
}

function certificate(plane: ControlPlane, rootPem: Buffer, authorization?: string) {
  const source = createCaSource({
    target: plane.addresses.secureXds,
    identity: { namespace: 'default', serviceAccount: 'cart' },
    credentials: (grpc) => grpc.credentials.createSsl(rootPem),
    callMetadata: () => Promise.resolve(authorization === undefined ? {} : { authorization }),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    readyTimeoutMs: 5_000,
  });
  closing.push(() => source.close());
  return source.ready.then(() => source.svid()?.id.toString());
}

/** Status and details of a raw call to the authority. */
function ask(plane: ControlPlane, rootPem: Buffer, authorization?: string): Promise<string> {
  const client = new Client(plane.addresses.secureXds, credentials.createSsl(rootPem));
  closing.push(() => client.close());
  const metadata = new Metadata();
  if (authorization !== undefined) metadata.set('authorization', authorization);
  const bytes = (value: Buffer) => value;
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      '/istio.v1.auth.IstioCertificateService/CreateCertificate',
      bytes,
      bytes,
      Buffer.alloc(0),
      metadata,
      {},
      (error: ServiceError | null) => resolve(`${error?.code} ${error?.details}`),
    );
  });
}

function ads(plane: ControlPlane, rootPem: Buffer, authorization?: string): AdsClient {
  const channel = credentials.createSsl(rootPem);
  const call = credentials.createFromMetadataGenerator((_, done) => {
    const metadata = new Metadata();
    if (authorization !== undefined) metadata.set('authorization', authorization);
    done(null, metadata);
  });
  const client = new AdsClient(
    plane.addresses.secureXds,
    credentials.combineChannelCredentials(channel, call),
  );
  closing.push(() => client.close());
  return client;
}

describe('a control plane that trusts nobody without proof', () => {
  test('has no plaintext port unless it is asked for one', async () => {
    const { plane } = await start();
    expect(plane.addresses.xds).toBe('');
  });

  test('issues for a join token, once', async () => {
    const { plane, rootPem } = await start();
    const { token: joinToken } = await plane.createJoinToken('spiffe://cluster.local/ns/default/sa/cart');
    const bearer = `Bearer ${joinToken.reveal()}`;
    expect(await certificate(plane, rootPem, bearer)).toBe('spiffe://cluster.local/ns/default/sa/cart');
    await expect(certificate(plane, rootPem, bearer)).rejects.toMatchObject({ code: 'INMESH_CA_REFUSED' });
  });

  test('issues for the token of an issuer, as often as it is shown', async () => {
    const { plane, rootPem } = await start();
    const bearer = `Bearer ${await token('cart')}`;
    for (let time = 0; time < 2; time++)
      expect(await certificate(plane, rootPem, bearer)).toBe('spiffe://cluster.local/ns/default/sa/cart');
  });

  test('tells callers that it refuses nothing about why', async () => {
    const { plane, rootPem } = await start();
    const used = await plane.createJoinToken('spiffe://cluster.local/ns/default/sa/cart');
    await certificate(plane, rootPem, `Bearer ${used.token.reveal()}`);
    const answers = await Promise.all(
      [
        undefined,
        'Bearer inmesh-join-abc',
        `Bearer inmesh-join-${'A'.repeat(43)}`,
        `Bearer ${used.token.reveal()}`,
        `Bearer ${await issuer.sign({ sub: 'cart', exp: 1 })}`,
        `Bearer ${await testIssuer('https://evil.test').sign({ sub: 'cart', exp: 9e9 })}`,
        'Basic cm9vdDpyb290',
      ].map((one) => ask(plane, rootPem, one)),
    );
    expect(new Set(answers)).toEqual(new Set(['16 INMESH_CA_REFUSED: the caller is not authenticated']));
  });

  test('serves xDS to a token, as what the token says and nothing else', async () => {
    const { plane, rootPem } = await start();
    const own = ads(plane, rootPem, `Bearer ${await token('reviews')}`);
    own.send({ type: 'CDS', node: nodeOf({ SERVICE_ACCOUNT: 'reviews' }) });
    expect((await own.next()).type).toBe('CDS');
    expect(plane.status().clients[0]?.spiffeId).toBe('spiffe://cluster.local/ns/default/sa/reviews');
    const other = ads(plane, rootPem, `Bearer ${await token('reviews')}`);
    other.send({ type: 'CDS', node: nodeOf({ SERVICE_ACCOUNT: 'ratings' }) });
    expect(await other.ended()).toBe(7);
  });

  test('ends a stream with its token; who comes back with a new one has missed nothing', async () => {
    const { plane, rootPem } = await start({
      callers: { loopback: false, oidc: oidc.map((one) => ({ ...one, skewMs: 0 })) },
    });
    const node = nodeOf({ SERVICE_ACCOUNT: 'reviews' });
    const brief = await issuer.sign({ sub: 'reviews', exp: Date.now() / 1000 + 3 });
    const first = ads(plane, rootPem, `Bearer ${brief}`);
    first.send({ type: 'CDS', node });
    const before = await first.next();
    first.ack(before);
    expect(await first.ended()).toBe(14);
    expect(first.status?.details).toBe('the token of this call has expired');
    expect(plane.status().clients).toEqual([]);
    const late = ads(plane, rootPem, `Bearer ${brief}`);
    late.send({ type: 'CDS', node });
    expect(await late.ended()).toBe(16);
    const again = ads(plane, rootPem, `Bearer ${await token('reviews')}`);
    again.send({ type: 'CDS', node });
    expect([...(await again.next()).resources.keys()]).toEqual([...before.resources.keys()]);
  });

  test('serves xDS to nobody else, not from this machine either', async () => {
    const { plane, rootPem } = await start({ ports: { xds: 0, secureXds: 0, http: 0 } });
    const joinToken = await plane.createJoinToken('spiffe://cluster.local/ns/default/sa/reviews');
    for (const authorization of [undefined, 'Bearer x', `Bearer ${joinToken.token.reveal()}`]) {
      const client = ads(plane, rootPem, authorization);
      client.send({ type: 'CDS', node: nodeOf({ SERVICE_ACCOUNT: 'reviews' }) });
      expect(await client.ended()).toBe(16);
    }
    const plain = new AdsClient(plane.addresses.xds);
    closing.push(() => plain.close());
    plain.send({ type: 'CDS', node: nodeOf() });
    expect(await plain.ended()).toBe(16);
    expect(plane.status().clients).toEqual([]);
  });

  test('writes down who joined and who was refused, without their tokens', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'inmesh-access-'));
    closing.push(() => rm(dataDir, { recursive: true }));
    const plane = await createControlPlane({
      ports: { secureXds: 0, http: 0 },
      dataDir,
      callers: { loopback: false, oidc },
    });
    const rootPem = Buffer.from(plane.rootsPem());
    const created = await plane.createJoinToken('spiffe://cluster.local/ns/default/sa/cart');
    await certificate(plane, rootPem, `Bearer ${created.token.reveal()}`);
    const bad = await issuer.sign({ sub: 'cart', exp: 1 });
    await ask(plane, rootPem, `Bearer ${bad}`);
    await plane.close();
    const text = await readFile(join(dataDir, 'audit.jsonl'), 'utf8');
    const actions = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .map(({ action, outcome }) => `${action} ${outcome}`);
    expect(actions).toEqual(
      expect.arrayContaining([
        'join-token.create allowed',
        'join-token.use allowed',
        'certificate.issue refused',
      ]),
    );
    for (const secret of [created.token.reveal(), bad]) expect(text).not.toContain(secret);
  });
});

describe('before anybody is known', () => {
  test('a message that is compressed is not unpacked', async () => {
    const { plane, rootPem } = await start();
    const session: ClientHttp2Session = connectHttp2(`https://${plane.addresses.secureXds}`, { ca: rootPem });
    closing.push(() => session.destroy());
    const bomb = gzipSync(Buffer.alloc(16 * 1024 * 1024 - 100));
    const head = Buffer.alloc(5);
    head[0] = 1;
    head.writeUInt32BE(bomb.length, 1);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/istio.v1.auth.IstioCertificateService/CreateCertificate',
      'content-type': 'application/grpc',
      'grpc-encoding': 'gzip',
      te: 'trailers',
    });
    const status = new Promise((resolve) => {
      stream.on('response', (headers) => resolve(headers['grpc-status']));
    });
    stream.on('error', () => {});
    stream.end(Buffer.concat([head, bomb]));
    expect(await status).toBe('12');
  });

  test('handshakes of one address are limited', async () => {
    const { plane, rootPem } = await start({ limits: { handshakesPerSecond: 2 } });
    const [host = '', port = ''] = plane.addresses.secureXds.split(':');
    const { connect } = await import('node:tls');
    const mostIn = atMost(8, 2);
    const outcomes = await Promise.all(
      Array.from(
        { length: 20 },
        () =>
          new Promise<string>((resolve) => {
            const socket = connect({ host, port: Number(port), ca: rootPem, ALPNProtocols: ['h2'] });
            socket.on('secureConnect', () => {
              resolve('secure');
              socket.destroy();
            });
            socket.on('error', () => resolve('cut'));
            socket.on('close', () => resolve('cut'));
          }),
      ),
    );
    expect(outcomes.filter((one) => one === 'secure').length).toBeLessThanOrEqual(mostIn());
    expect(outcomes.filter((one) => one === 'secure').length).toBeGreaterThanOrEqual(8);
  });

  test('calls of one address without a certificate are limited', async () => {
    const { plane, rootPem } = await start({ limits: { callsPerSecond: 1 } });
    const mostIn = atMost(4, 1);
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(plane, rootPem, 'Bearer x')));
    const heard = answers.filter((one) => one.startsWith('16'));
    expect(heard.length).toBeLessThanOrEqual(mostIn());
    expect(answers.filter((one) => one.startsWith('8 too many'))).toHaveLength(20 - heard.length);
  });

  test('10 KiB of anything cost at most ten times as much in answers, on every port', async () => {
    const { plane } = await start({ ports: { xds: 0, secureXds: 0, http: 0 } });
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    const ping = Buffer.concat([Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0]), Buffer.alloc(8)]);
    const fill = (one: Buffer) =>
      Buffer.concat(Array.from({ length: Math.floor(10_240 / one.length) }, () => one));
    const inputs = {
      zeros: Buffer.alloc(10_240),
      text: fill(Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')),
      settings: Buffer.concat([preface, fill(emptySettings)]),
      pings: Buffer.concat([preface, emptySettings, fill(ping)]),
    };
    const figures: Record<string, number> = {};
    for (const [port, address] of Object.entries(plane.addresses)) {
      for (const [name, input] of Object.entries(inputs)) {
        const factor = (await answered(address, input)) / input.length;
        figures[`${port} ${name}`] = Number(factor.toFixed(2));
        expect([port, name, factor <= 10]).toEqual([port, name, true]);
      }
    }
    console.info('answered bytes per byte sent by nobody:', JSON.stringify(figures));
  });
});

/** What a limit lets through from now on until it is asked: a burst, and what comes back meanwhile. */
function atMost(burst: number, perSecond: number): () => number {
  const begin = performance.now();
  return () => burst + Math.ceil(((performance.now() - begin) / 1000) * perSecond);
}

/** How many bytes come back for these, within a moment of silence. */
function answered(address: string, input: Buffer): Promise<number> {
  const [host = '', port = ''] = address.split(':');
  return new Promise((resolve) => {
    let bytes = 0;
    const socket = connectTcp(Number(port), host, () => socket.write(input));
    const done = () => {
      resolve(bytes);
      socket.destroy();
    };
    socket.setTimeout(150, done);
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
    socket.on('close', done);
    socket.on('error', done);
  });
}
