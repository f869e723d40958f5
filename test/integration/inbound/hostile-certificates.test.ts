import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { createServer, type Server } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { encodeName } from '../../../src/control-plane/ca/encode-certificate.js';
import { connectMeshTls } from '../../../src/identity/connect.js';
import { loadDerEncoder } from '../../../src/identity/der-encode.js';
import { createMeshTls } from '../../../src/identity/tls-options.js';
import { KeyUsageBit } from '../../../src/identity/x509.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { codeOf } from '../../../src/runtime/errors.js';
import { createTestCa, type TestCa, type TestCertificateChanges } from '../../../src/testing/test-ca.js';
import { withinCpuMs } from '../../vectors/cpu-time.js';
import { exchange } from './authority.js';
import { type Inbound, openSocket, startInbound, whenClosed } from './support.js';

// Certificates that nobody who means well presents, over real sockets: to our servers, and by servers to our clients.

let ca: TestCa;
let foreign: TestCa;
let hostile: ReadonlyMap<string, Presented>;

interface Presented {
  /** PEM, leaf first. */
  readonly cert: string;
  readonly key: string;
}

const DAY_MS = 86_400_000;
const ID = 'spiffe://cluster.local/ns/default/sa/web';

beforeAll(async () => {
  [ca, foreign] = await Promise.all([createTestCa(), createTestCa()]);
  const encoder = await loadDerEncoder();
  const leaf = (changes: TestCertificateChanges, from = ca): Presented => {
    const { pem, privateKey } = from.certificate('web', changes);
    return { cert: pem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
  };
  /** A leaf below so many authorities. */
  const deep = (depth: number): Presented => {
    const pems: string[] = [];
    let issuerDer: TestCertificateChanges['issuerDer'];
    let signer: Parameters<TestCa['certificate']>[2];
    for (let i = 0; i < depth; i++) {
      const subjectDer = encodeName(encoder, `authority ${i}`);
      const { pem, privateKey } = ca.certificate(
        'web',
        {
          isCa: true,
          keyUsage: [KeyUsageBit.keyCertSign],
          extendedKeyUsage: [],
          names: {},
          subjectDer,
          ...(issuerDer !== undefined && { issuerDer }),
        },
        signer,
      );
      pems.unshift(pem);
      issuerDer = subjectDer;
      signer = privateKey;
    }
    const { pem, privateKey } = ca.certificate(
      'web',
      { ...(issuerDer !== undefined && { issuerDer }) },
      signer,
    );
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { cert: [pem, ...pems].join(''), key };
  };
  const good = leaf({});
  const selfSigned = ca.certificate('web', {
    issuerDer: encodeName(encoder, 'me'),
    subjectDer: encodeName(encoder, 'me'),
  });
  const now = systemClock.wallTime();
  hostile = new Map<string, Presented>([
    ['expired', leaf({ notBeforeMs: now - 2 * DAY_MS, notAfterMs: now - DAY_MS })],
    ['not valid yet', leaf({ notBeforeMs: now + DAY_MS, notAfterMs: now + 2 * DAY_MS })],
    ['of another authority with our trust domain', leaf({}, foreign)],
    ['of another trust domain', leaf({ names: { uris: ['spiffe://other.example/ns/default/sa/web'] } })],
    ['with two URIs', leaf({ names: { uris: [ID, `${ID}2`] } })],
    ['without a URI', leaf({ names: { dnsNames: ['web'] } })],
    ['with an odd URI', leaf({ names: { uris: ['spiffe://cluster.local/ns/../sa/web'] } })],
    ['of a whole trust domain', leaf({ names: { uris: ['spiffe://cluster.local'] } })],
    ['of an authority (CA:TRUE)', leaf({ isCa: true })],
    [
      'that may sign certificates',
      leaf({ keyUsage: [KeyUsageBit.digitalSignature, KeyUsageBit.keyCertSign] }),
    ],
    ['that may not sign at all', leaf({ keyUsage: [KeyUsageBit.keyEncipherment] })],
    [
      'signed by nobody known',
      {
        cert: selfSigned.pem,
        key: good.key === '' ? '' : selfSigned.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      },
    ],
    ['below twenty authorities', deep(20)],
    [
      'with two hundred others',
      { cert: good.cert + ca.certificate('web', {}).pem.repeat(200), key: good.key },
    ],
  ]);
});

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const NAMES = [
  'expired',
  'not valid yet',
  'of another authority with our trust domain',
  'of another trust domain',
  'with two URIs',
  'without a URI',
  'with an odd URI',
  'of a whole trust domain',
  'of an authority (CA:TRUE)',
  'that may sign certificates',
  'that may not sign at all',
  'signed by nobody known',
  'below twenty authorities',
  'with two hundred others',
] as const;

/** What a certificate may cost both ends, with everything around it. */
const PATIENCE_MS = 500;

describe('a server refuses a client with a certificate', () => {
  let inbound: Inbound;
  let requests = 0;

  async function start(): Promise<void> {
    requests = 0;
    inbound = await startInbound(
      (_, response) => {
        requests++;
        response.end('ok');
      },
      { mode: 'strict', identity: ca.source('reviews') },
    );
    open.push(inbound);
  }

  const ask = (presented: Presented) =>
    exchange(inbound.port, {
      host: '127.0.0.1',
      ca: ca.bundle.authorities.join(''),
      checkServerIdentity: () => undefined,
      ...presented,
    });

  test('padded with two hundred others at a bounded cost, or takes it for what it proves', async () => {
    await start();
    const presented = hostile.get('with two hundred others') ?? { cert: '', key: '' };
    await withinCpuMs(PATIENCE_MS, () => ask(presented));
  });

  test.each(NAMES.filter((name) => name !== 'with two hundred others'))('%s', async (name) => {
    await start();
    const presented = hostile.get(name);
    if (presented === undefined) throw new Error(`there is no certificate ${name}`);
    let asked = 0;
    const { text } = await withinCpuMs(PATIENCE_MS, () => {
      asked++;
      return ask(presented);
    });
    expect(text).toBe('');
    expect(requests).toBe(0);
    const { handshake, peer } = inbound.attachment.refusals;
    expect(handshake + peer).toBe(asked);
    // It goes on serving those who mean well.
    const { pem, privateKey } = ca.certificate('web', {});
    const good = { cert: pem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
    expect((await ask(good)).text).toContain('200 OK');
  });
});

describe('a client refuses a server with a certificate', () => {
  async function serve({ cert, key }: Presented): Promise<number> {
    const server: Server = createServer({ cert, key, minVersion: 'TLSv1.3' }, (socket) =>
      socket.end('hello'),
    );
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push({ close: () => server.close() });
    // A listening TCP server has an address of this form.
    return (server.address() as AddressInfo).port;
  }

  test.each(NAMES)('%s', async (name) => {
    const presented = hostile.get(name);
    if (presented === undefined) throw new Error(`there is no certificate ${name}`);
    const port = await serve(presented);
    const mesh = createMeshTls(ca.source('productpage'), { clock: systemClock });
    open.push(mesh);
    const connecting = () =>
      new Promise<unknown>((resolve) => {
        connectMeshTls(mesh, { host: '127.0.0.1', port }, (refused) => resolve(refused));
      });
    const error = await withinCpuMs(PATIENCE_MS, connecting);
    expect(codeOf(error)).toMatch(
      /^INMESH_(CERTIFICATE_EXPIRED|SVID_INVALID|SPIFFE_ID|TRUST_DOMAIN|PEER_IDENTITY|UPSTREAM_CONNECT)$/,
    );
  });
});

describe('a ClientHello', () => {
  async function start(sniffTimeoutMs?: number): Promise<Inbound> {
    const inbound = await startInbound((_, response) => response.end('ok'), {
      mode: 'permissive',
      identity: ca.source('reviews'),
      ...(sniffTimeoutMs !== undefined && { sniffTimeoutMs }),
    });
    open.push(inbound);
    return inbound;
  }

  test.each([
    ['that is garbage', Buffer.concat([Buffer.from([0x16, 3, 1, 0, 200]), Buffer.alloc(200, 0xff)])],
    [
      'of a record that is too long',
      Buffer.concat([Buffer.from([0x16, 3, 1, 0xff, 0xff]), Buffer.alloc(20_000, 1)]),
    ],
    ['of another version of TLS', Buffer.from([0x16, 9, 9, 0, 1, 0])],
    ['with names of application protocols that are no text', helloWith(16, alpnOf([0xff, 0xfe, 0x00]))],
    ['with an empty list of application protocols', helloWith(16, Buffer.from([0, 0]))],
    ['with a server name that ends early', helloWith(0, sniOf(Buffer.from('a\0b')))],
    ['with a server name of 60 kB', helloWith(0, sniOf(Buffer.alloc(60_000, 0x61)))],
  ])('%s ends its own connection and nothing else', async (_, bytes) => {
    const inbound = await start();
    const socket = connectTcp(inbound.port, '127.0.0.1');
    socket.end(bytes);
    await whenClosed(socket.resume());
    expect(await (await fetch(inbound.url)).text()).toBe('ok');
  });
});

/** A ClientHello of TLS 1.3 that is whole but for the extension in question. */
function helloWith(type: number, extension: Buffer): Buffer {
  const extensions = Buffer.concat([
    block16(43, Buffer.from([2, 3, 4])),
    block16(10, Buffer.from([0, 2, 0, 0x1d])),
    block16(13, Buffer.from([0, 2, 4, 3])),
    block16(51, Buffer.concat([Buffer.from([0, 36, 0, 0x1d, 0, 32]), Buffer.alloc(32, 9)])),
    block16(type, extension),
  ]);
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    Buffer.from([0, 0, 2, 0x13, 1, 1, 0]),
    length16(extensions),
    extensions,
  ]);
  const handshake = Buffer.concat([
    Buffer.from([1, body.length >> 16, (body.length >> 8) & 255, body.length & 255]),
    body,
  ]);
  const records: Buffer[] = [];
  for (let at = 0; at < handshake.length; at += 16_000) {
    const part = handshake.subarray(at, at + 16_000);
    records.push(Buffer.from([0x16, 3, 1]), length16(part), part);
  }
  return Buffer.concat(records);
}

function block16(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 255]), length16(body), body]);
}

function length16(body: Buffer): Buffer {
  return Buffer.from([(body.length >> 8) & 255, body.length & 255]);
}

function alpnOf(name: readonly number[]): Buffer {
  const list = Buffer.from([name.length, ...name]);
  return Buffer.concat([length16(list), list]);
}

function sniOf(name: Buffer): Buffer {
  const entry = Buffer.concat([Buffer.from([0]), length16(name), name]);
  return Buffer.concat([length16(entry), entry]);
}

test('handshakes that come to nothing are limited by address; those that come to something are not', async () => {
  const inbound = await startInbound((_, response) => response.end('ok'), {
    mode: 'strict',
    identity: ca.source('reviews'),
    handshakes: { burst: 5, perSecond: 0 },
  });
  open.push(inbound);
  const { pem, privateKey } = ca.certificate('web', {});
  const good = {
    host: '127.0.0.1',
    ca: ca.bundle.authorities.join(''),
    checkServerIdentity: () => undefined,
    cert: pem,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
  for (let i = 0; i < 10; i++) expect((await exchange(inbound.port, good)).text).toContain('200 OK');
  for (let i = 0; i < 8; i++) {
    const socket = await openSocket(inbound.port);
    socket.end(Buffer.from([0x16, 3, 1, 0, 4, 99, 0, 0, 0]));
    await whenClosed(socket);
  }
  expect(inbound.attachment.refusals).toMatchObject({ handshake: 5, rate: 3 });
  expect((await exchange(inbound.port, good)).text).toBe('');
});
