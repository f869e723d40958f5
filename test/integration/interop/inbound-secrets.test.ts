import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { connect } from 'node:tls';
import { beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { peerOf } from '../../../src/bindings/http/connection.js';
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
});

const ADS: Json = { ads: {}, resource_api_version: 'V3' };

/** A listener for callers, with the server's certificate from the control plane. */
function listener(secret: string): { readonly [key: string]: Json } {
  return listenerWith({
    require_client_certificate: true,
    common_tls_context: {
      tls_certificate_sds_secret_configs: [{ name: secret, sds_config: ADS }],
      validation_context_sds_secret_config: { name: 'ROOTCA', sds_config: ADS },
    },
  });
}

function listenerWith(tls: { readonly [key: string]: Json }): { readonly [key: string]: Json } {
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
  const context: Json = {
    '@type': `${TYPE}.extensions.transport_sockets.tls.v3.DownstreamTlsContext`,
    ...tls,
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

interface Caller {
  readonly cert: string;
  readonly key: string;
}

function memberOf({ svid }: TestCa): Caller {
  const { certificatesPem, privateKey } = svid('productpage');
  return {
    cert: certificatesPem.join(''),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** What a caller sees, by default a member: the names of the server, and the status. */
function visit(port: number, caller = memberOf(mesh)): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({
      host: '127.0.0.1',
      port,
      ca: [...web.bundle.authorities, ...mesh.bundle.authorities].join('\n'),
      ...(caller.cert !== '' && caller),
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
    // A member that has not heard its policy lets members in, by its own identity.
    expect(await visit(port)).not.toContain('DNS:');

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

describe('clients of a listener', () => {
  const nobody: Caller = { cert: '', key: '' };

  /** A server whose listener has this TLS; what its application answers is who is said to call. */
  async function serve(context: TestContext, tls: { readonly [key: string]: Json }, ads?: IndependentAds) {
    const world = ads ?? (await startAds(context));
    const port = await freePort();
    const name = `xds.istio.io/grpc/lds/inbound/127.0.0.1:${port}`;
    const put = (next: { readonly [key: string]: Json }) => {
      world.world.put('LDS', name, listenerWith(next));
      world.publish();
    };
    put(tls);
    const member = await joinMesh(world, context, {
      service: 'reviews',
      address: '127.0.0.1',
      xdsProtocol: 'sotw',
      identity: { kind: 'source', source: mesh.source('reviews') },
    });
    const heard: string[] = [];
    const server = createServer((request, response) => {
      const element = String(request.headers['x-forwarded-client-cert'] ?? 'nobody');
      heard.push(`${peerOf(request)?.spiffeId ?? '-'} ${element.replace(/Hash=[0-9a-f]+/, 'Hash=')}`);
      response.end();
    });
    context.onTestFinished(() => void server.close());
    await member.listen(server, port);
    return { ads: world, port, put, heard };
  }

  const own: Json = [{ name: 'default', sds_config: ADS }];
  const ok = (shown: string) => expect(shown).toContain('HTTP/1.1 200');

  test('need no certificate where none is required, and are nobody then', async (context) => {
    const { port, heard, put } = await serve(context, {
      common_tls_context: { tls_certificate_sds_secret_configs: own },
    });
    ok(await visit(port, nobody));
    // It is not asked for its certificate, so it proves nothing by it.
    ok(await visit(port));
    expect(heard).toEqual(['- nobody', '- nobody']);

    put({
      common_tls_context: {
        tls_certificate_sds_secret_configs: own,
        validation_context_sds_secret_config: { name: 'ROOTCA', sds_config: ADS },
      },
    });
    await eventually('optional certificates', async () => {
      heard.length = 0;
      ok(await visit(port));
      return heard[0]?.startsWith('spiffe://') === true;
    });
    ok(await visit(port, nobody));
    expect(heard.at(-1)).toBe('- nobody');
    expect(await visit(port, memberOf(web))).not.toContain('200');

    put({
      require_client_certificate: true,
      common_tls_context: {
        tls_certificate_sds_secret_configs: own,
        validation_context_sds_secret_config: { name: 'ROOTCA', sds_config: ADS },
      },
    });
    await eventually('required ones', async () => !(await visit(port, nobody)).includes('200'));
    ok(await visit(port));
  });

  test('are verified by roots that the control plane serves, and are no members for it', async (context) => {
    const ads = await startAds(context);
    const certificate = web.certificate('shop', { names: { dnsNames: ['shop.example'] } });
    const shop: Caller = {
      cert: certificate.pem,
      key: certificate.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
    const roots = (ca: TestCa, host: string) =>
      ads.world.put('SDS', 'clients', {
        validation_context: {
          trusted_ca: { inline_string: ca.bundle.authorities.join('') },
          match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: host } }],
        },
      });
    roots(web, 'shop.example');
    const { port, heard } = await serve(
      context,
      {
        require_client_certificate: true,
        common_tls_context: {
          tls_certificate_sds_secret_configs: own,
          combined_validation_context: {
            default_validation_context: {},
            validation_context_sds_secret_config: { name: 'clients', sds_config: ADS },
          },
        },
      },
      ads,
    );
    await eventually('the roots', async () => (await visit(port, shop)).includes('200'));
    expect(heard[0]).toMatch(/^- By=spiffe:\S+;Hash=;Subject="";URI=\S*$/);
    expect(await visit(port)).not.toContain('200');
    expect(await visit(port, nobody)).not.toContain('200');

    roots(web, 'other.example');
    ads.publish();
    await eventually('the other name', async () => !(await visit(port, shop)).includes('200'));
    roots(mesh, 'shop.example');
    ads.publish();
    await eventually('the other roots', async () => !(await visit(port, shop)).includes('200'));
  });
});
