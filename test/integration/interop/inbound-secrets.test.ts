import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { connect } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { createTestCa, type TestCa } from '../../../src/testing/test-ca.js';
import { eventually } from '../mesh/support.js';
import type { Json } from './ads/json.js';
import type { IndependentAds } from './ads/server.js';
import { joinMesh, startAds, warmUp } from './support.js';

const TYPE = 'type.googleapis.com/envoy';

let mesh: TestCa;
let web: TestCa;
beforeAll(async () => {
  [mesh, web] = await Promise.all([createTestCa(), createTestCa()]);
  await warmUp();
}, 90_000);

/** A listener for callers, with the server's certificate from the control plane. */
function listener(secret: string): { readonly [key: string]: Json } {
  const manager: Json = {
    '@type': `${TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    route_config: {
      name: 'inbound',
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, non_forwarding_action: {} }] },
      ],
    },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': `${TYPE}.extensions.filters.http.router.v3.Router` },
      },
    ],
  };
  const ads: Json = { ads: {}, resource_api_version: 'V3' };
  const context: Json = {
    '@type': `${TYPE}.extensions.transport_sockets.tls.v3.DownstreamTlsContext`,
    require_client_certificate: true,
    common_tls_context: {
      tls_certificate_sds_secret_configs: [{ name: secret, sds_config: ads }],
      validation_context_sds_secret_config: { name: 'ROOTCA', sds_config: ads },
    },
  };
  return {
    filter_chains: [
      {
        filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }],
        transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: context },
      },
    ],
  };
}

function putCertificate({ world }: IndependentAds, secret: string, host: string): void {
  const { pem, privateKey } = web.certificate('default', { names: { dnsNames: [host] } });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  world.put('SDS', secret, {
    tls_certificate: { certificate_chain: { inline_string: pem }, private_key: { inline_string: key } },
  });
}

/** What a member sees: the names of the server, and the status. */
function visit(port: number): Promise<string> {
  const svid = mesh.svid('productpage');
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({
      host: '127.0.0.1',
      port,
      ca: web.bundle.authorities.join('\n'),
      cert: svid.certificatesPem.join(''),
      key: svid.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      checkServerIdentity: () => undefined,
    });
    socket.on('secureConnect', () => {
      text = `${socket.getPeerCertificate().subjectaltname} `;
      socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1').slice(0, 12);
    });
    socket.on('error', () => {
      text = 'refused';
    });
    socket.on('close', () => resolve(text));
  });
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || address === null) throw new Error('no TCP port');
  return address.port;
}

describe.each(['sotw', 'delta'] as const)('certificates of servers by SDS (%s)', (xdsProtocol) => {
  test('a listener waits for its certificate, shows each newer one, and changes to another', async (context) => {
    const ads = await startAds(context);
    const port = await freePort();
    const name = `xds.istio.io/grpc/lds/inbound/127.0.0.1:${port}`;
    ads.world.put('LDS', name, listener('own'));
    const member = await joinMesh(ads, context, {
      service: 'reviews',
      address: '127.0.0.1',
      xdsProtocol,
      identity: { kind: 'source', source: mesh.source('reviews') },
    });
    const server = createServer((_, response) => response.end('hello'));
    context.onTestFinished(() => void server.close());
    const joined = member.listen(server, port);
    await eventually('the listener', () => ads.referee.mentioned.has('own') && ads.streams === 1);
    await eventually('the server', () => server.listening);
    expect(await visit(port)).not.toContain('200');

    putCertificate(ads, 'own', 'first.example');
    ads.publish();
    await joined;
    await eventually('the certificate', async () => (await visit(port)) === 'DNS:first.example HTTP/1.1 200');

    putCertificate(ads, 'own', 'second.example');
    ads.publish();
    await eventually('the next one', async () => (await visit(port)) === 'DNS:second.example HTTP/1.1 200');

    // Until the new name is there, the listener stays as it was. In delta a server says at once that it is not: Envoy waits no
    // longer then, and nobody is let in.
    ads.world.put('LDS', name, listener('other'));
    ads.publish();
    await eventually('answers', () => ads.unanswered().length === 0);
    const meanwhile = xdsProtocol === 'sotw' ? 'DNS:second.example HTTP/1.1 200' : 'refused';
    await eventually('the change', async () => (await visit(port)) === meanwhile);
    putCertificate(ads, 'other', 'third.example');
    ads.publish();
    await eventually('the other one', async () => (await visit(port)) === 'DNS:third.example HTTP/1.1 200');

    // What a listener needs stays when it is taken away.
    ads.world.remove('SDS', 'other');
    ads.publish();
    await eventually('answers', () => ads.unanswered().length === 0);
    expect(await visit(port)).toBe('DNS:third.example HTTP/1.1 200');
    expect(ads.referee.nacks).toEqual([]);
    expect(ads.referee.violations).toEqual([]);
  });
});
