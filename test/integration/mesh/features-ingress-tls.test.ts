import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { connect, type SecureVersion } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createTestCa, type TestCa } from '../../../src/testing/test-ca.js';
import { answerOf, istio, World } from './features-world.js';
import { eventually, type Member, TemporaryFolder } from './support.js';

// A Sidecar's `ingress.tls` at a member's server: TLS of the outside world is ended in the process, with certificates of
// the Sidecar, where the mesh ends none.

const HOST = 'shop.example.com';
const folder = new TemporaryFolder();
let web: TestCa;
let files: string;
let world: World;

beforeAll(async () => {
  web = await createTestCa();
  const { cert, key } = pair({ dnsNames: [HOST] });
  files = `serverCertificate: ${folder.write('c.pem', cert)}, privateKey: ${folder.write('k.pem', key)}`;
  folder.write('ca.pem', roots());
});
afterEach(() => world.close());
afterAll(() => folder.remove());

const roots = () => web.bundle.authorities.join('\n');

function pair(names: { readonly dnsNames: readonly string[] }, ca = web) {
  const { pem, privateKey } = ca.certificate('default', { names });
  return { cert: pem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

const DISABLE = istio('PeerAuthentication', 'default', 'mtls: { mode: DISABLE }');

const ingress = (port: number, mode: string, more = '') =>
  istio(
    'Sidecar',
    'own',
    `workloadSelector: { labels: { app: shop } }
ingress: [{ port: { number: ${port}, protocol: HTTPS, name: https }, tls: { mode: ${mode}, ${files}${more} } }]`,
  );

/** A server that is told of no mTLS, with the TLS of a Sidecar for its port, once it has it. */
async function serve(mode: string, more = ''): Promise<Member> {
  world = await World.start(DISABLE);
  const member = await world.serve({ service: 'shop' }, (incoming, response) => {
    response.end(String(incoming.headers['x-forwarded-client-cert'] ?? 'nobody'));
  });
  world.configure(DISABLE + ingress(member.port, mode, more));
  await eventually('plaintext is refused', async () => (await plainly(member)) === 'refused');
  return member;
}

async function plainly({ port }: Member): Promise<string> {
  try {
    return await (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).text();
  } catch {
    return 'refused';
  }
}

interface Client {
  readonly cert?: string;
  readonly key?: string;
  readonly minVersion?: SecureVersion;
  readonly maxVersion?: SecureVersion;
}

const trusting = (port: number, client: Client) => ({
  host: '127.0.0.1',
  port,
  servername: HOST,
  ca: roots(),
  ...client,
});

/** What a client of HTTP/1.1 gets that verifies the server: the certificate that the application heard of. */
function visit({ port }: Member, client: Client = {}): Promise<string> {
  return new Promise((resolve) => {
    request({ ...trusting(port, client), agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(text));
    })
      .on('error', () => resolve('refused'))
      .end();
  });
}

/** What a client of HTTP/2 gets, with the protocol that it came by. */
function visitByHttp2({ port }: Member): Promise<string> {
  return new Promise((resolve) => {
    const session = connectHttp2(`https://${HOST}:${port}`, trusting(port, {}));
    session.on('error', () => resolve('refused'));
    let text = '';
    session
      .request({ ':path': '/' })
      .setEncoding('utf8')
      .on('data', (part: string) => {
        text += part;
      })
      .on('error', () => resolve('refused'))
      .on('end', () => {
        session.close();
        resolve(`${session.alpnProtocol} ${text}`);
      });
  });
}

/** Version and protocol that a handshake comes to. */
function handshake({ port }: Member, client: Client, ALPNProtocols: string[] = []): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ ...trusting(port, client), ALPNProtocols });
    socket.on('error', () => resolve('refused'));
    socket.on('secureConnect', () => {
      resolve(`${socket.getProtocol()} ${socket.alpnProtocol || 'none'}`);
      socket.destroy();
    });
  });
}

test('SIMPLE: whoever trusts the certificate gets in, by HTTP/1.1 and HTTP/2', async () => {
  const member = await serve('SIMPLE');
  expect(await visit(member)).toBe('nobody');
  expect(await visitByHttp2(member)).toBe('h2 nobody');
  expect(await handshake(member, {}, ['h2', 'http/1.1'])).toBe('TLSv1.3 h2');
  expect(await handshake(member, {}, ['http/1.1'])).toBe('TLSv1.3 http/1.1');
  expect(await handshake(member, {})).toBe('TLSv1.3 none');
});

test('MUTUAL: only with a certificate of the roots that the Sidecar names', async () => {
  const member = await serve('MUTUAL', `, caCertificates: ${folder.path}/ca.pem`);
  const foreign = await createTestCa();
  expect(await visit(member)).toBe('refused');
  expect(await visit(member, pair({ dnsNames: ['visitor.example.com'] }, foreign))).toBe('refused');
  expect(await visit(member, pair({ dnsNames: ['visitor.example.com'] }))).toContain('Hash=');
});

test('OPTIONAL_MUTUAL: a certificate may be missing, but not be wrong', async () => {
  const member = await serve('OPTIONAL_MUTUAL', `, caCertificates: ${folder.path}/ca.pem`);
  const foreign = await createTestCa();
  expect(await visit(member)).toBe('nobody');
  expect(await visit(member, pair({ dnsNames: ['visitor.example.com'] }, foreign))).toBe('refused');
  expect(await visit(member, pair({ dnsNames: ['visitor.example.com'] }))).toContain('Hash=');
});

test('versions are those of the Sidecar, TLS 1.2 and above where it says none', async () => {
  const newest = await serve('SIMPLE', ', minProtocolVersion: TLSV1_3');
  expect(await handshake(newest, { maxVersion: 'TLSv1.2' })).toBe('refused');
  expect(await handshake(newest, {})).toBe('TLSv1.3 none');
  await world.close();
  const older = await serve('SIMPLE', ', maxProtocolVersion: TLSV1_2');
  expect(await handshake(older, {})).toBe('TLSv1.2 none');
  expect(await handshake(older, { minVersion: 'TLSv1.3' })).toBe('refused');
});

test('without the Sidecar the port is plaintext again', async () => {
  const member = await serve('SIMPLE');
  world.configure(DISABLE);
  await eventually('plaintext is let in', async () => (await plainly(member)) === 'nobody');
  expect(await visit(member)).toBe('refused');
  const mesh = await world.join();
  expect(await answerOf(mesh.fetch('http://shop/'))).toEqual([200, 'nobody']);
});
